// File names of pictures from a template: "{id}", "{model}/{seed}-{id}".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pipelines/settings/settings.h"

namespace fovea {

struct PictureFacts {
  std::string id, name, shard;
  int64_t number = 0, line = 0;
  const GenerateSettings* settings = nullptr;  // as asked for; not null
};

// Letters and digits in lower case, all else one "-"; never empty, at most `limit` characters.
std::string Slug(std::string_view text, size_t limit);

class NameTemplate {
 public:
  // Throws kUsage: an unknown field, no {id}, a path that leaves the folder.
  explicit NameTemplate(const std::string& text);
  // The path in the folder of pictures, with ".png". What a job says becomes a Slug.
  std::string Of(const PictureFacts& facts) const;

 private:
  std::string text_;
};

}  // namespace fovea
