// The flags of `fovea generate` and the settings that they make.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/flags/cli_args.h"
#include "app/flags/common_flags.h"
#include "pipelines/metadata/metadata.h"
#include "pipelines/pictures/image.h"

namespace fovea {

struct GivenPictures {
  std::optional<Image> image, mask;
};

struct GenerateFlags {
  CommonFlags common;
  ModelFlags models;
  MemoryFlag memory;
  std::optional<std::string> from, init_latents, save_latents, dump, trace, output;
  std::optional<std::string> image, mask;
  // What the number of sampling steps is called; `inspect` has another use for --steps.
  const char* steps_flag = "--steps";
  // The command names perturbed heads itself: --perturb-kind and so on need no --perturb.
  bool names_heads = false;
  // Settings that were given, in the order of the command line.
  std::vector<std::function<void(GenerateSettings&)>> overrides;
  std::set<std::string, std::less<>> given;  // fields of GenerateSettings that they set

  void Add(Flags& flags);
  // Flags over --from over the program's defaults; the model's come later, in Resolve. A seed is
  // drawn when none was given. Throws kUsage, kBadFile, and the problems of --from's picture that
  // no flag replaces.
  PictureSettings Settings() const;
  PictureSettings SettingsWithoutSeed() const;  // the same, but for the seed that is drawn
  // A setting as its flag would be given it; not model and dtype. Throws as the flag.
  void Take(std::string_view field, const std::string& text);
  void TakePerturb(const std::string& text);  // --perturb
  // Reads --image and --mask and puts their digests into the settings. Throws kBadFile, and kUsage
  // where the settings come from a picture that was made from others, and these are not given.
  GivenPictures ReadPictures(GenerateSettings* settings) const;
};

}  // namespace fovea
