// An objective that another program is: it reads names of picture files on its standard input, one
// a line, and prints a number for each, higher is better.
//
// Beside each NAME.png stands NAME.txt, its prompt. The program is started for a few pictures at a
// time and reads to the end of its input.
#pragma once

#include <memory>
#include <string>

#include "pipelines/hunt/picture_scorer.h"

namespace fovea {

// `command` is given to /bin/sh. Scoring throws kBadFile saying what the command did wrong.
std::unique_ptr<PictureScorer> MakeCommandScorer(const std::string& command);

}  // namespace fovea
