// Editing the text of an attention plan by clicks, so that text and clicks stay in step.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace fovea {

// Rules of a plan, blanks around them cut; empty ones are left out. JSON is one rule.
std::vector<std::string> SplitRules(const std::string& plan);
// "clear(r=4)"; only the name without arguments.
std::string OperatorText(const std::string& name, const std::map<std::string, std::string>& args);

// The name of an operator's text and, into *args, its arguments.
std::string ReadOperatorText(const std::string& text, std::map<std::string, std::string>* args);

// The plan with this operator at `selector`: a rule of the same selector is replaced; a new one
// goes in front, since the first rule that matches wins, and one without a selector goes last.
std::string AssignOperator(const std::string& plan, const std::string& selector,
                           const std::string& op);

// "down 0, attention 1, block 0": a layer's path for people; the last part is left to its kind.
std::string ShortPath(const std::string& path);
std::string ShortestPath(const std::string& path);  // "down 0.1.0"

}  // namespace fovea
