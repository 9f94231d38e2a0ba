// One job rendered: settings, model, picture, as `fovea generate` does it.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "app/cli_commands/batch/resolve_jobs.h"
#include "pipelines/generation/text_to_image.h"
#include "pipelines/metadata/metadata.h"

namespace fovea {

struct RenderedJob {
  bool cancelled = false;
  Image image;
  PngText text;
  Timings timings;
  double load = 0;  // seconds
  double gflop = 0;
  std::string dtype;
};

// A loaded model and its device; the next job of the same model finds it ready. One thread.
class JobRenderer {
 public:
  // `here` says what all pictures say of this machine, `together` how many renderers share its
  // memory. Both must outlive this.
  JobRenderer(const BatchFlags& flags, const Provenance& here, int together);
  ~JobRenderer();

  // Throws what generate would: kUsage, kBadFile, kUnsupported, kOutOfMemory, kDevice.
  RenderedJob Render(const ResolvedJob& job, const GenerateHooks& hooks);
  // Whether so many pictures like this one, each on one thread, are faster than one after another
  // on all threads, and fit. Throws as Render.
  bool IsSmall(const ResolvedJob& job, int side_by_side);

 private:
  struct Loaded;
  struct Ready;
  Ready Prepare(const ResolvedJob& job);

  const BatchFlags& flags_;
  const Provenance& here_;
  int together_;
  std::unique_ptr<Loaded> loaded_;
};

}  // namespace fovea
