// Looks for a tokenizer where people keep models.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

namespace fovea {

bool HoldsTokenizer(const std::filesystem::path& folder);  // by its file names

// The first folder, by name, that holds a CLIP tokenizer of `vocabulary` words: a root of `search`
// itself, the folders below it and below its folders of models and tokenizers, snapshots of Hugging
// Face's cache there, and each one's "tokenizer". Folders and files that cannot be read are passed
// over.
std::optional<std::filesystem::path> FindTokenizer(const std::vector<std::filesystem::path>& search,
                                                   int vocabulary);

bool HoldsT5Tokenizer(const std::filesystem::path& folder);  // one that can be read

// The first folder that holds a T5 tokenizer, found as above; also each one's
// "tokenizer_2" and "tokenizer_3".
std::optional<std::filesystem::path> FindT5Tokenizer(
    const std::vector<std::filesystem::path>& search);

}  // namespace fovea
