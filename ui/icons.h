// Icons by name: code points of Font Awesome 4, each with the word that stands for it where that
// font is not installed.
#pragma once

namespace fovea {

struct Icon {
  const char* glyph;  // UTF-8, in the private use area
  const char* word;
};

inline constexpr Icon kIconCreate{"\xef\x83\x90", "Create"};     // f0d0 magic
inline constexpr Icon kIconAttention{"\xef\x81\xae", "Layers"};  // f06e eye
inline constexpr Icon kIconCompare{"\xef\x83\x9b", "A/B"};       // f0db columns
inline constexpr Icon kIconGallery{"\xef\x80\x89", "All"};       // f009 th-large
inline constexpr Icon kIconHistory{"\xef\x87\x9a", "Log"};       // f1da history
inline constexpr Icon kIconQueue{"\xef\x83\x8b", "Queue"};       // f0cb list-ol
inline constexpr Icon kIconPlay{"\xef\x81\x8b", ">"};            // f04b
inline constexpr Icon kIconPause{"\xef\x81\x8c", "||"};          // f04c
inline constexpr Icon kIconStop{"\xef\x81\x8d", "stop"};         // f04d
inline constexpr Icon kIconClose{"\xef\x80\x8d", "x"};           // f00d
inline constexpr Icon kIconUp{"\xef\x81\xa2", "up"};             // f062
inline constexpr Icon kIconDown{"\xef\x81\xa3", "down"};         // f063
inline constexpr Icon kIconStar{"\xef\x80\x85", "*"};            // f005
inline constexpr Icon kIconNoStar{"\xef\x80\x86", "o"};          // f006
inline constexpr Icon kIconTrash{"\xef\x87\xb8", "del"};         // f1f8
inline constexpr Icon kIconDice{"\xef\x81\xb4", "rnd"};          // f074 random
inline constexpr Icon kIconLock{"\xef\x80\xa3", "lock"};         // f023
inline constexpr Icon kIconUnlock{"\xef\x82\x9c", "free"};       // f09c
inline constexpr Icon kIconUndo{"\xef\x83\xa2", "undo"};         // f0e2
inline constexpr Icon kIconRedo{"\xef\x80\x9e", "redo"};         // f01e
inline constexpr Icon kIconSearch{"\xef\x80\x82", "find"};       // f002
inline constexpr Icon kIconSwap{"\xef\x83\xac", "swap"};         // f0ec
inline constexpr Icon kIconSun{"\xef\x86\x85", "light"};         // f185
inline constexpr Icon kIconMoon{"\xef\x86\x86", "dark"};         // f186
inline constexpr Icon kIconWarning{"\xef\x81\xb1", "!"};         // f071
inline constexpr Icon kIconInfo{"\xef\x81\x9a", "i"};            // f05a
inline constexpr Icon kIconCube{"\xef\x86\xb2", "model"};        // f1b2
inline constexpr Icon kIconPicture{"\xef\x80\xbe", "picture"};   // f03e
inline constexpr Icon kIconBolt{"\xef\x83\xa7", "speed"};        // f0e7
inline constexpr Icon kIconKeyboard{"\xef\x84\x9c", "keys"};     // f11c
inline constexpr Icon kIconRestore{"\xef\x84\x92", "use"};       // f112 reply
inline constexpr Icon kIconStart{"\xef\x87\xbc", "from"};        // f1fc paint-brush
inline constexpr Icon kIconClock{"\xef\x80\x97", "time"};        // f017
inline constexpr Icon kIconCopy{"\xef\x83\x85", "copy"};         // f0c5
inline constexpr Icon kIconFolder{"\xef\x81\xbc", "dir"};        // f07c
inline constexpr Icon kIconInspect{"\xef\x81\x9b", "maps"};      // f05b crosshairs
inline constexpr Icon kIconMemory{"\xef\x8b\x9b", "mem"};        // f2db microchip

}  // namespace fovea
