// What a reader takes for one character: extended grapheme clusters of Unicode's annex 29.
#pragma once

#include <cstddef>
#include <string_view>

namespace fovea::unicode {

// Of the cluster that `text` begins with; 0 if it is empty. Without rule GB9c (Indic conjuncts, at
// least nine bytes) and the pairing of flags (eight bytes): charsmaps, the only users, treat
// clusters of six bytes and more character by character anyway.
size_t GraphemeLength(std::u32string_view text);

}  // namespace fovea::unicode
