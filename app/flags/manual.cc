#include "app/flags/manual.h"

#include <fstream>

#include "app/output_files.h"
#include "tensor/error.h"

namespace fovea {
namespace {

// Text that roff takes as it is: no escapes, no hyphens of typography, no line that is a request.
std::string Roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\n') {
      out += "\n.br\n";
    } else {
      if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
      out += c;
    }
  }
  return out;
}

std::string PageName(const std::string& program, const std::string& command) {
  std::string name = command.empty() ? program : program + "-" + command;
  for (char& c : name) {
    if (c == ' ') c = '-';
  }
  return name;
}

std::string FlagEntry(const FlagText& flag) {
  std::string names;
  for (const std::string& name : flag.names) {
    names += (names.empty() ? "" : ", ") + ("\\fB" + Roff(name)) + "\\fR";
  }
  if (!flag.placeholder.empty()) {
    names += (names.empty() ? "" : " ") + ("\\fI" + Roff(flag.placeholder)) + "\\fR";
  }
  return ".TP\n" + names + "\n" + Roff(flag.help) + "\n";
}

}  // namespace

std::string ManualPage(const CommandLine& line, const std::vector<CommandText>& commands,
                       const CommandText& command) {
  const std::string name = PageName(line.program, command.name);
  const std::string called =
      "\\fB" + Roff(line.program + (command.name.empty() ? "" : " " + command.name)) + "\\fR";
  std::string subcommands, arguments, flags;
  for (const CommandText& each : commands) {
    const bool all = command.name.empty() && !each.name.empty();
    if (!all && !each.name.starts_with(command.name + " ")) continue;
    subcommands += ".TP\n\\fB" + Roff(each.name) + "\\fR\n" + Roff(each.help) + "; see \\fB" +
                   Roff(PageName(line.program, each.name)) + "\\fR(1)\n";
  }
  std::string positional;
  for (const FlagText& flag : command.flags) {
    (flag.names.empty() ? arguments : flags) += FlagEntry(flag);
    if (flag.names.empty()) positional += " \\fI" + Roff(flag.placeholder) + "\\fR";
  }
  std::string page = ".TH " + Roff(name) + " 1 \"\" \"" + Roff(line.program + " " + line.version) +
                     "\" \"User commands\"\n";
  page += ".SH NAME\n" + Roff(name) + " \\- " + Roff(command.help) + "\n";
  page += ".SH SYNOPSIS\n" + called + (subcommands.empty() ? "" : " \\fICOMMAND\\fR") +
          " [\\fIOPTION\\fR]..." + positional + "\n";
  if (!arguments.empty()) page += ".SH ARGUMENTS\n" + arguments;
  if (!subcommands.empty()) page += ".SH COMMANDS\n" + subcommands;
  page += ".SH OPTIONS\n" + flags;
  if (!command.name.empty()) page += ".SH SEE ALSO\n\\fB" + Roff(line.program) + "\\fR(1)\n";
  return page;
}

void WriteManual(const std::filesystem::path& folder, const CommandLine& line,
                 const std::vector<CommandText>& commands) {
  OutputFiles files;
  files.MakeFolder(folder);
  for (const CommandText& command : commands) {
    const auto path = folder / (PageName(line.program, command.name) + ".1");
    std::ofstream out(files.Replace(path), std::ios::binary);
    out << ManualPage(line, commands, command);
    if (!out.flush()) throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written");
  }
  files.Commit();
}

}  // namespace fovea
