#include "ui/plan_text.h"

#include <algorithm>

namespace fovea {
namespace {

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n\r");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n\r") - first + 1);
}

// What stands before the colon that ends the selector, outside of brackets.
std::string SelectorOf(const std::string& rule) {
  int depth = 0;
  for (size_t i = 0; i < rule.size(); ++i) {
    const char c = rule[i];
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (c == ':' && depth == 0) return Trimmed(rule.substr(0, i));
  }
  return {};
}

}  // namespace

std::vector<std::string> SplitRules(const std::string& plan) {
  std::vector<std::string> rules;
  int depth = 0;
  std::string rule;
  const auto end = [&] {
    if (const std::string trimmed = Trimmed(rule); !trimmed.empty()) rules.push_back(trimmed);
    rule.clear();
  };
  for (const char c : plan) {
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (c == ';' && depth <= 0) {
      end();
    } else {
      rule += c;
    }
  }
  end();
  return rules;
}

std::string OperatorText(const std::string& name, const std::map<std::string, std::string>& args) {
  std::string text;
  for (const auto& [arg, value] : args) {
    if (!value.empty()) text += (text.empty() ? "" : ",") + arg + "=" + value;
  }
  return text.empty() ? name : name + "(" + text + ")";
}

std::string ReadOperatorText(const std::string& text, std::map<std::string, std::string>* args) {
  args->clear();
  const size_t open = text.find('(');
  if (open == std::string::npos) return Trimmed(text);
  const size_t close = std::min(text.rfind(')'), text.size());
  std::string list = text.substr(open + 1, close > open ? close - open - 1 : 0);
  int depth = 0;
  std::string part;
  for (const char c : list + ",") {
    depth += (c == '(' || c == '[') - (c == ')' || c == ']');
    if (c != ',' || depth > 0) {
      part += c;
      continue;
    }
    const size_t equal = part.find('=');
    if (equal != std::string::npos) {
      (*args)[Trimmed(part.substr(0, equal))] = Trimmed(part.substr(equal + 1));
    }
    part.clear();
  }
  return Trimmed(text.substr(0, open));
}

std::string AssignOperator(const std::string& plan, const std::string& selector,
                           const std::string& op) {
  std::vector<std::string> rules = SplitRules(plan);
  std::erase_if(rules, [&](const std::string& rule) { return SelectorOf(rule) == selector; });
  if (selector.empty()) {
    if (op != "dense") rules.push_back(op);
  } else {
    rules.insert(rules.begin(), selector + ": " + op);
  }
  std::string text;
  for (const std::string& rule : rules) text += (text.empty() ? "" : "; ") + rule;
  return text;
}

std::string ShortestPath(const std::string& path) {
  std::string text = ShortPath(path);
  for (const char* word : {", attention ", ", block "}) {
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
      text.replace(at, std::char_traits<char>::length(word), ".");
    }
  }
  return text;
}

std::string ShortPath(const std::string& path) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : path + ".") {
    if (c == '.') {
      if (!part.empty()) parts.push_back(part);
      part.clear();
    } else {
      part += c;
    }
  }
  const auto number = [&](size_t i) {
    return i < parts.size() && parts[i].find_first_not_of("0123456789") == std::string::npos;
  };
  std::string text;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    std::string word = parts[i];
    if (word == "down_blocks") word = "down";
    if (word == "up_blocks") word = "up";
    if (word == "mid_block") word = "middle";
    if (word == "attentions") word = "attention";
    if (word == "transformer_blocks" || word == "blocks") word = "block";
    if (number(i)) continue;
    text += (text.empty() ? "" : ", ") + word;
    if (number(i + 1)) text += " " + parts[i + 1];
  }
  return text.empty() ? path : text;
}

}  // namespace fovea
