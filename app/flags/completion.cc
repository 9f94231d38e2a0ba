#include "app/flags/completion.h"

#include <algorithm>
#include <cctype>

namespace fovea {
namespace {

// 'it'\''s': one word for a shell.
std::string Quoted(const std::string& text, const std::string& apostrophe = "'\\''") {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? apostrophe : std::string(1, c);
  return out + "'";
}

bool IsFolder(const FlagText& flag) {
  return flag.placeholder == "DIR";
}

// A path may be typed: FILE, NAME|DIR, QKV.safetensors, the positional FILE...
bool MayBePath(const FlagText& flag) {
  for (const char* part : {"FILE", "DIR", "MODEL", "PICTURE", ".safetensors", "PLAN"}) {
    if (flag.placeholder.find(part) != std::string::npos) return true;
  }
  return false;
}

std::vector<std::string> Below(const std::vector<CommandText>& commands, const std::string& name) {
  std::vector<std::string> words;
  const std::string prefix = name.empty() ? "" : name + " ";
  for (const CommandText& each : commands) {
    if (each.name.size() <= prefix.size() || !each.name.starts_with(prefix)) continue;
    const std::string rest = each.name.substr(prefix.size());
    if (rest.find(' ') == std::string::npos) words.push_back(rest);
  }
  return words;
}

std::string Joined(const std::vector<std::string>& words, const std::string& between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

// A name for a function of a shell: "fovea-studio" gives "_fovea_studio".
std::string FunctionName(const std::string& program) {
  std::string name = "_" + program;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

std::string Bash(const std::string& program, const std::vector<CommandText>& commands) {
  const std::string function = FunctionName(program);
  std::string names, words, values;
  for (const CommandText& command : commands) {
    if (!command.name.empty()) names += (names.empty() ? "" : "|") + Quoted(command.name);
    std::vector<std::string> offered = Below(commands, command.name);
    for (const FlagText& flag : command.flags) {
      offered.insert(offered.end(), flag.names.begin(), flag.names.end());
      if (flag.names.empty() || flag.placeholder.empty()) continue;
      std::vector<std::string> cases;
      for (const std::string& name : flag.names) cases.push_back(Quoted(command.name + ' ' + name));
      const std::vector<std::string> choices = ChoicesOf(flag);
      const std::string reply = !choices.empty()  ? "-W " + Quoted(Joined(choices, " "))
                                : IsFolder(flag)  ? "-d"
                                : MayBePath(flag) ? "-f"
                                                  : "-W ''";
      values += "    " + Joined(cases, "|") + ") mapfile -t COMPREPLY < <(compgen " + reply +
                " -- \"$word\"); return ;;\n";
    }
    words += "    " + Quoted(command.name) + ") offered=" + Quoted(Joined(offered, " ")) + " ;;\n";
  }
  return "# Completion of " + program + " in bash.\n" + function +
         "() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local command= offered= i\n"
         "  [[ $before == = && COMP_CWORD -gt 1 ]] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
         "  [[ $word == = ]] && { before=${COMP_WORDS[COMP_CWORD-1]}; word=; }\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    case \"${command:+$command }${COMP_WORDS[i]}\" in\n"
         "      " +
         (names.empty() ? "''" : names) +
         ") command=\"${command:+$command }${COMP_WORDS[i]}\" ;;\n"
         "      *) break ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$command $before\" in\n" +
         values + "  esac\n  case \"$command\" in\n" + words +
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$offered\" -- \"$word\")\n"
         "}\n"
         "complete -o bashdefault -o default -F " +
         function + " " + program + "\n";
}

// What stands between the colons of zsh's _arguments.
std::string ZshText(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string ZshFlag(const FlagText& flag) {
  const std::vector<std::string> choices = ChoicesOf(flag);
  const std::string action = !choices.empty()  ? "(" + Joined(choices, " ") + ")"
                             : IsFolder(flag)  ? "_files -/"
                             : MayBePath(flag) ? "_files"
                                               : "";
  const std::string value = ":" + ZshText(flag.placeholder) + ":" + action;
  if (flag.names.empty()) {
    return "      " + Quoted((flag.repeated ? "*" : "") + value) + " \\\n";
  }
  const std::string others = flag.repeated           ? "*"
                             : flag.names.size() > 1 ? "(" + Joined(flag.names, " ") + ")"
                                                     : "";
  std::string out;
  for (const std::string& name : flag.names) {
    const std::string takes = flag.placeholder.empty() ? "" : name.size() > 2 ? "=" : "+";
    out += "      " +
           Quoted(others + name + takes + "[" + ZshText(flag.help) + "]" +
                  (flag.placeholder.empty() ? "" : value)) +
           " \\\n";
  }
  return out;
}

std::string Zsh(const std::string& program, const std::vector<CommandText>& commands) {
  const std::string function = FunctionName(program);
  std::string out = "#compdef " + program + "\n# Completion of " + program + " in zsh.\n";
  for (const CommandText& command : commands) {
    std::string name = function + (command.name.empty() ? "" : "_" + command.name);
    std::replace(name.begin(), name.end(), ' ', '_');
    const std::vector<std::string> below = Below(commands, command.name);
    out += name + "() {\n";
    if (!below.empty()) {
      std::vector<std::string> cases;
      std::string offered;
      for (const std::string& word : below) {
        const std::string full = command.name.empty() ? word : command.name + " " + word;
        const auto found = std::find_if(commands.begin(), commands.end(),
                                        [&](const CommandText& each) { return each.name == full; });
        offered += " " + Quoted(ZshText(word) + ":" + found->help);
        cases.push_back(word);
      }
      out += "  local -a commands=(" + offered.substr(1) +
             ")\n"
             "  if ((CURRENT > 2)); then\n"
             "    case $words[2] in\n"
             "      " +
             Joined(cases, "|") + ") local next=" + name +
             "_$words[2]; shift words; ((CURRENT--)); $next; return ;;\n"
             "    esac\n"
             "  fi\n"
             "  _describe command commands\n";
    }
    out += "  _arguments -s \\\n";
    for (const FlagText& flag : command.flags) out += ZshFlag(flag);
    out += "    && return 0\n}\n";
  }
  return out + function + " \"$@\"\n";
}

std::string Fish(const std::string& program, const std::vector<CommandText>& commands) {
  std::string out = "# Completion of " + program + " in fish.\n";
  const std::string apostrophe = "\\'";
  for (const CommandText& command : commands) {
    const std::vector<std::string> below = Below(commands, command.name);
    std::string seen;
    for (size_t begin = 0; begin < command.name.size();) {
      const size_t end = std::min(command.name.find(' ', begin), command.name.size());
      seen += std::string(seen.empty() ? "" : "; and ") + "__fish_seen_subcommand_from " +
              command.name.substr(begin, end - begin);
      begin = end + 1;
    }
    if (!below.empty()) {
      const std::string none = "not __fish_seen_subcommand_from " + Joined(below, " ");
      seen += (seen.empty() ? "" : "; and ") + none;
    }
    const std::string start =
        "complete -c " + program + (seen.empty() ? "" : " -n " + Quoted(seen, apostrophe));
    for (const std::string& word : below) {
      const std::string full = command.name.empty() ? word : command.name + " " + word;
      const auto found = std::find_if(commands.begin(), commands.end(),
                                      [&](const CommandText& each) { return each.name == full; });
      out += start + " -f -a " + word + " -d " + Quoted(found->help, apostrophe) + "\n";
    }
    for (const FlagText& flag : command.flags) {
      if (flag.names.empty()) continue;
      out += start;
      for (const std::string& name : flag.names) {
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      const std::vector<std::string> choices = ChoicesOf(flag);
      if (!choices.empty()) {
        out += " -x -a " + Quoted(Joined(choices, " "));
      } else if (IsFolder(flag)) {
        out += " -x -a '(__fish_complete_directories)'";
      } else if (!flag.placeholder.empty()) {
        out += MayBePath(flag) ? " -r" : " -x";
      }
      out += " -d " + Quoted(flag.help, apostrophe) + "\n";
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> ChoicesOf(const FlagText& flag) {
  std::vector<std::string> choices;
  size_t begin = 0;
  while (begin <= flag.placeholder.size()) {
    const size_t end = std::min(flag.placeholder.find('|', begin), flag.placeholder.size());
    choices.push_back(flag.placeholder.substr(begin, end - begin));
    begin = end + 1;
  }
  // What stands for other text is written in capitals or has marks: N, cuda[:N].
  const bool literal = std::all_of(choices.begin(), choices.end(), [](const std::string& choice) {
    return !choice.empty() && std::all_of(choice.begin(), choice.end(), [](unsigned char c) {
      return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '_' || c == '+';
    });
  });
  if (choices.size() < 2 || !literal) choices.clear();
  return choices;
}

std::string CompletionScript(const std::string& program, const std::vector<CommandText>& commands,
                             const std::string& shell) {
  return shell == "bash"  ? Bash(program, commands)
         : shell == "zsh" ? Zsh(program, commands)
                          : Fish(program, commands);
}

}  // namespace fovea
