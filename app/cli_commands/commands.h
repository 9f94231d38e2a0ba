// The subcommands of `fovea`, one file each.
#pragma once

#include "app/flags/cli_args.h"

namespace fovea {

Command GenerateCommand();
Command BatchCommand();
Command ForwardCommand();
Command InfoCommand();
Command BenchModelCommand();
Command BenchAttentionCommand();
Command AttendCommand();
Command ClassifyCommand();
Command EmbedCommand();
Command InspectCommand();
Command HuntCommand();
Command HeadsCommand();

}  // namespace fovea
