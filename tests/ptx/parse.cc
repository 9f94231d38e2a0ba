// PTX text as kernels: directives, scopes, labels. Instructions are decode.cc's.
#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "tests/ptx/builder.h"
#include "tests/ptx/forms.h"

namespace fovea::ptx {

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::vector<std::string> SplitOperands(const std::string& text) {
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (const char c : text) {
    if (c == '{' || c == '[' || c == '(') ++depth;
    if (c == '}' || c == ']' || c == ')') --depth;
    if (c == ',' && depth == 0) {
      parts.push_back(Trimmed(part));
      part.clear();
    } else {
      part += c;
    }
  }
  part = Trimmed(part);
  if (!part.empty()) parts.push_back(part);
  return parts;
}

std::vector<std::string> SplitName(const std::string& name) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t dot = name.find('.', begin);
    parts.push_back(name.substr(begin, dot - begin));
    if (dot == std::string::npos) return parts;
    begin = dot + 1;
  }
}

int BytesOfType(const std::string& type) {
  static const std::map<std::string, int> bytes = {{"b8", 1},  {"u8", 1},  {"s8", 1},  {"b16", 2},
                                                   {"u16", 2}, {"s16", 2}, {"f16", 2}, {"b32", 4},
                                                   {"u32", 4}, {"s32", 4}, {"f32", 4}, {"bf16", 2},
                                                   {"b64", 8}, {"u64", 8}, {"s64", 8}, {"f64", 8}};
  const auto it = bytes.find(type);
  return it == bytes.end() ? 0 : it->second;
}

uint32_t Builder::Constant(uint64_t bits, int bytes) {
  for (uint32_t id = 0; id < registers.size(); ++id) {
    const Info& info = registers[id];
    if (info.constant && info.bits == bits && info.bytes == bytes) return id;
  }
  const uint32_t id = NewRegister(bytes);
  registers[id].constant = true;
  registers[id].bits = bits;
  return id;
}

const Register* Builder::Find(const std::string& name) const {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    const auto it = scope->registers.find(name);
    if (it != scope->registers.end()) return &it->second;
  }
  return nullptr;
}

namespace {

// "name[12]" or "name": its parts.
struct Declared {
  std::string type, name;
  int align = 0;
  int64_t count = 1;
  bool open = false;  // "name[]"
};

Declared ReadDeclaration(const std::string& text) {
  Declared d;
  size_t i = 0;
  while (i < text.size()) {
    if (std::isspace(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    const size_t end = std::min(text.find_first_of(" \t\n[", i), text.size());
    const std::string word = text.substr(i, end - i);
    if (word == ".align") {
      d.align = std::atoi(text.c_str() + end);
      i = text.find_first_of("0123456789", end);
      i = std::min(text.find_first_not_of("0123456789", i), text.size());
      continue;
    }
    if (BytesOfType(word.substr(1)) && word[0] == '.') d.type = word.substr(1);
    if (word[0] != '.') d.name = word;
    i = end;
    if (i < text.size() && text[i] == '[') {
      d.open = text[i + 1] == ']';
      d.count = d.open ? 0 : std::atoll(text.c_str() + i + 1);
      break;
    }
  }
  if (d.name.empty() || d.type.empty()) throw PtxError("declaration not understood: " + text);
  if (!d.align) d.align = BytesOfType(d.type);
  return d;
}

uint32_t RoundUp(uint32_t at, int align) {
  return (at + static_cast<uint32_t>(align) - 1) / static_cast<uint32_t>(align) *
         static_cast<uint32_t>(align);
}

class Reader {
 public:
  explicit Reader(const std::string& text) : text_(text) {}

  Kernels Read() {
    for (at_ = 0; at_ < text_.size();) {
      if (SkipComment() || ReadLineDirective()) continue;
      const char c = text_[at_++];
      if (builder_) {
        InKernel(c);
      } else {
        OutsideKernel(c);
      }
    }
    if (builder_) throw PtxError("the text ends inside of a kernel");
    return std::move(kernels_);
  }

 private:
  bool SkipComment() {
    if (text_.compare(at_, 2, "//") == 0) {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return true;
    }
    if (text_.compare(at_, 2, "/*") == 0) {
      const size_t end = text_.find("*/", at_);
      if (end == std::string::npos) throw PtxError("a comment without its end");
      at_ = end + 2;
      return true;
    }
    return false;
  }

  // Directives that end with their line.
  bool ReadLineDirective() {
    if (text_[at_] != '.' || !Trimmed(current_).empty()) return false;
    for (const char* name : {".version", ".target", ".address_size", ".file", ".loc"}) {
      if (text_.compare(at_, std::string(name).size(), name) != 0) continue;
      const size_t end = std::min(text_.find('\n', at_), text_.size());
      if (std::string(name) == ".loc" && builder_) {
        const size_t number = text_.find_first_of(" \t", text_.find_first_not_of(" \t", at_ + 4));
        builder_->line = std::atoi(text_.c_str() + number);
      }
      at_ = end;
      return true;
    }
    return false;
  }

  void OutsideKernel(char c) {
    if (c == '{') {
      const std::string header = Trimmed(current_);
      current_.clear();
      if (header.rfind(".section", 0) == 0) {
        at_ = text_.find('}', at_);
        if (at_ == std::string::npos) throw PtxError("a section without its end");
        ++at_;
      } else {
        BeginKernel(header);
      }
    } else if (c == ';') {
      const std::string statement = Trimmed(current_);
      current_.clear();
      if (statement.find(".shared") == std::string::npos) {
        throw PtxError("not supported: " + statement.substr(0, 80));
      }
      module_shared_.push_back(statement);
    } else {
      current_ += c;
    }
  }

  void BeginKernel(const std::string& header) {
    const size_t entry = header.find(".entry");
    if (entry == std::string::npos) throw PtxError("not supported: " + header.substr(0, 80));
    builder_ = std::make_unique<Builder>();
    Kernel& kernel = builder_->kernel;
    const size_t open = std::min(header.find('(', entry), header.size());
    const size_t close = std::min(header.find(')', open), header.size());
    kernel.name = Trimmed(header.substr(entry + 6, open - entry - 6));
    if (open < close) {
      for (const std::string& text : SplitOperands(header.substr(open + 1, close - open - 1))) {
        const Declared d = ReadDeclaration(text);
        const int bytes = BytesOfType(d.type) * static_cast<int>(d.count);
        const auto offset =
            static_cast<int>(RoundUp(static_cast<uint32_t>(kernel.parameters_bytes), d.align));
        kernel.parameters[d.name] = offset;
        kernel.parameter_offset.push_back(offset);
        kernel.parameter_bytes.push_back(bytes);
        kernel.parameters_bytes = offset + bytes;
      }
    }
    if (const size_t most = header.find(".maxntid"); most != std::string::npos) {
      kernel.max_threads = 1;
      std::string sizes = header.substr(most + 8);
      sizes = sizes.substr(0, std::min(sizes.find('.'), sizes.size()));
      for (const std::string& n : SplitOperands(sizes)) kernel.max_threads *= std::atoi(n.c_str());
    }
    for (const std::string& text : module_shared_) DeclareShared(text);
    builder_->scopes.push_back({builder_->scope_count++, {}});
  }

  void DeclareShared(const std::string& text) {
    const Declared d = ReadDeclaration(text);
    Kernel& kernel = builder_->kernel;
    if (d.open) {
      builder_->dynamic_shared.insert(d.name);
      builder_->dynamic_align = std::max(builder_->dynamic_align, d.align);
      return;
    }
    if (!kernel.code.empty()) throw PtxError("shared memory declared behind instructions");
    kernel.static_shared = RoundUp(kernel.static_shared, d.align);
    builder_->shared[d.name] = kernel.static_shared;
    kernel.static_shared += static_cast<uint32_t>(BytesOfType(d.type) * d.count);
  }

  void InKernel(char c) {
    Builder& b = *builder_;
    const std::string now = Trimmed(current_);
    if (c == '{' && now.empty()) {
      b.scopes.push_back({b.scope_count++, {}});
      current_.clear();
    } else if (c == '}' && now.empty()) {
      b.scopes.pop_back();
      current_.clear();
      if (b.scopes.empty()) EndKernel();
    } else if (c == ':' && IsLabel(now) && text_[at_] != ':') {
      b.labels[{b.scopes.back().id, now}] = static_cast<int>(b.kernel.code.size());
      current_.clear();
    } else if (c == ';') {
      current_.clear();
      Statement(now);
    } else {
      current_ += c;
    }
  }

  static bool IsLabel(const std::string& text) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0]))) return false;
    return std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '$'; });
  }

  void Statement(const std::string& text) {
    Builder& b = *builder_;
    if (text.empty() || text.rfind(".pragma", 0) == 0) return;
    if (text.rfind(".reg", 0) == 0) return DeclareRegisters(text);
    if (text.rfind(".shared", 0) == 0) return DeclareShared(text);
    if (text.rfind(".local", 0) == 0) {
      const Declared d = ReadDeclaration(text);
      b.kernel.local_bytes = RoundUp(b.kernel.local_bytes, d.align);
      b.local[d.name] = b.kernel.local_bytes;
      b.kernel.local_bytes += static_cast<uint32_t>(BytesOfType(d.type) * d.count);
      return;
    }
    Instr in;
    in.line = b.line;
    b.kernel.texts.push_back(std::make_unique<std::string>(text));
    in.text = b.kernel.texts.back().get();
    try {
      std::string rest = text;
      if (rest[0] == '@') {
        const size_t end = rest.find_first_of(" \t");
        std::string guard = rest.substr(1, end - 1);
        rest = Trimmed(rest.substr(end));
        in.guard_not = guard[0] == '!';
        if (in.guard_not) guard = guard.substr(1);
        const Register* r = b.Find(guard);
        if (!r || !r->predicate) throw PtxError("no predicate " + guard);
        in.guard = static_cast<int>(r->id);
      }
      const size_t end = std::min(rest.find_first_of(" \t\n{["), rest.size());
      Decode(b, rest.substr(0, end), SplitOperands(rest.substr(end)), in);
    } catch (const PtxError& error) {
      throw PtxError(b.kernel.name + ", line " + std::to_string(b.line) + ", " + text + ": " +
                     error.what());
    }
  }

  // ".reg .b32 %r<12>" or ".reg .pred p, q"
  void DeclareRegisters(const std::string& text) {
    Builder& b = *builder_;
    const size_t dot = text.find('.', 4), space = text.find_first_of(" \t", dot);
    const std::string type = text.substr(dot + 1, space - dot - 1);
    const int bytes = type == "pred" ? 4 : BytesOfType(type);
    if (!bytes) throw PtxError("registers of type " + type);
    for (const std::string& each : SplitOperands(text.substr(space))) {
      const size_t less = each.find('<');
      const std::string base = each.substr(0, less);
      const int count = less == std::string::npos ? 0 : std::atoi(each.c_str() + less + 1);
      for (int i = 0; i < std::max(count, 1); ++i) {
        Register r{0, bytes, type == "pred"};
        r.id = r.predicate ? static_cast<uint32_t>(b.kernel.predicates++) : b.NewRegister(bytes);
        b.scopes.back().registers[count ? base + std::to_string(i) : base] = r;
      }
    }
  }

  void EndKernel() {
    Builder& b = *builder_;
    for (const Builder::Jump& jump : b.jumps) {
      const int* place = nullptr;
      for (auto scope = jump.scopes.rbegin(); scope != jump.scopes.rend() && !place; ++scope) {
        const auto it = b.labels.find({*scope, jump.label});
        if (it != b.labels.end()) place = &it->second;
      }
      if (!place) throw PtxError(b.kernel.name + ": no label " + jump.label);
      b.kernel.code[jump.at].offset = *place;
    }
    b.kernel.static_shared = b.DynamicShared();
    PlaceRegisters(b);
    const std::string name = b.kernel.name;
    kernels_[name] = std::make_shared<Kernel>(std::move(b.kernel));
    builder_.reset();
  }

  const std::string& text_;
  size_t at_ = 0;
  std::string current_;
  std::unique_ptr<Builder> builder_;
  std::vector<std::string> module_shared_;
  Kernels kernels_;
};

}  // namespace

Kernels ParsePtx(const std::string& text) {
  return Reader(text).Read();
}

}  // namespace fovea::ptx
