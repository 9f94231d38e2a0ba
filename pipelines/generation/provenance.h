// What a picture says of its making beside its settings: this program, this processor, what ran.
#pragma once

#include <string>

#include "pipelines/generation/text_to_image.h"
#include "pipelines/metadata/metadata.h"

namespace fovea {

// Of this process, before a run: the processor's instruction set and the number of threads.
Provenance HereAndNow(const std::string& version);

// `here` with what ran. Hashes of files and given noise are the caller's to add.
Provenance ProvenanceOf(const Generated& generated, const Provenance& here);

}  // namespace fovea
