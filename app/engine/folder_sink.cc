#include "app/engine/folder_sink.h"

#include "app/output_files.h"
#include "pipelines/generation/provenance.h"
#include "pipelines/pictures/formats/png_file.h"

namespace fovea {

PictureSink FolderSink(const std::filesystem::path& folder) {
  return [folder](const Generated& generated) {
    OutputFiles files;
    files.MakeFolder(folder);
    const std::string prefix = std::to_string(generated.settings.seed.value_or(0)) + "-";
    const auto name = files.CountUp(folder, prefix, ".png");
    WritePng(
        name, generated.images.front(),
        PictureText(generated.settings, ProvenanceOf(generated, HereAndNow(FOVEA_VERSION)), 0));
    return files.Commit().front().string();
  };
}

}  // namespace fovea
