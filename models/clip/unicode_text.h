// Unicode as the tokenizer needs it: decoding, classes of characters, lower case, normal forms.
//
// Tables come from ICU, except where tokenizers (the library that defines the ids) uses another
// version of Unicode: normal forms know Unicode 9 only, letters and digits Unicode 16, lower case
// Unicode 17. A character newer than that is left as it is.
#pragma once

#include <string>
#include <string_view>

namespace fovea::unicode {

enum class Form { kNfc, kNfd, kNfkc, kNfkd };

// What is not UTF-8 becomes U+FFFD, one for each maximal broken part (as Python's
// errors="replace").
std::u32string Decode(std::string_view utf8);
std::string Encode(std::u32string_view text);
void AppendUtf8(char32_t c, std::string& out);

bool IsLetter(char32_t c);  // general category L
bool IsNumber(char32_t c);  // general category N
bool IsSpace(char32_t c);   // property White_Space
bool IsWord(char32_t c);    // alphabetic, mark, decimal digit, connector or joiner

std::u32string Lowercase(std::u32string_view text);  // each character alone: no final sigma
std::u32string Normalize(std::u32string_view text, Form form);

}  // namespace fovea::unicode
