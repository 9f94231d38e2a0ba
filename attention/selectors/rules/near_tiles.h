// The selector of operators that see near tiles and differ in what stands for the others.
#pragma once

#include "attention/op_args.h"
#include "attention/selectors/selector.h"

namespace fovea {

// Of the argument `ring`.
std::unique_ptr<const Selector> NearTiles(const OpArgs& args);

}  // namespace fovea
