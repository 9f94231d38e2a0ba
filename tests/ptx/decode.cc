// One line of PTX as an instruction. What is not known by its whole name is an error.
#include <cstdlib>

#include "tests/ptx/builder.h"
#include "tests/ptx/forms.h"

namespace fovea::ptx {
namespace {

struct Place {  // "[base+12]"
  std::string base;
  int64_t offset = 0;
};

class Decoder {
 public:
  Decoder(Builder& builder, const std::string& name, std::vector<std::string> operands, Instr in)
      : b_(builder),
        name_(name),
        parts_(SplitName(name)),
        operands_(std::move(operands)),
        in_(in) {}

  void Run() {
    const std::string& op = parts_[0];
    if (name_ == "mov.pred" && operands_.size() == 2 && !b_.Find(operands_[1])) {
      IntoPredicate(operands_[0]);
      in_.offset = std::strtoll(operands_[1].c_str(), nullptr, 0);
      in_.execute = PutPredicate;
      return Append();
    }
    if (op == "mov" && Move()) return Append();
    if (const Form* form = FindArithmetic(name_)) return Simple(*form);
    if (op == "cvt") {
      const Form* form = FindConversion(name_);
      return form ? Simple(*form) : Unknown();
    }
    if (op == "setp") {
      Comparison();
    } else if (op == "ld" || op == "ldu") {
      Load();
    } else if (op == "st") {
      Store();
    } else if (name_ == "bra" || name_ == "bra.uni") {
      Want(1);
      b_.jumps.push_back({b_.kernel.code.size(), operands_[0], {}});
      for (const Builder::Scope& scope : b_.scopes) b_.jumps.back().scopes.push_back(scope.id);
      in_.execute = Branch;
      in_.branch = true;
      in_.mode = 1;  // it jumps: place_registers.cc
    } else if (name_ == "ret" || name_ == "exit") {
      in_.execute = Exit;
      in_.branch = true;
    } else {
      OfWarps();
    }
    Append();
  }

 private:
  [[noreturn]] void Unknown() const { throw PtxError("unknown instruction " + name_); }
  void Want(size_t count) const {
    if (operands_.size() != count) throw PtxError(std::to_string(count) + " operands expected");
  }

  void Append() {
    b_.kernel.code.push_back(in_);
    b_.operands.push_back(kinds_);
  }

  // ---- operands
  // ----------------------------------------------------------------------------------

  uint32_t RegisterId(const std::string& text, int bytes, bool exact = true) {
    const Register* r = b_.Find(text);
    if (!r) throw PtxError("no register " + text);
    if (r->predicate) throw PtxError(text + " is a predicate");
    const bool fits = bytes == 1 ? r->bytes <= 4 : exact ? r->bytes == bytes : r->bytes >= bytes;
    if (!fits) throw PtxError(text + " has " + std::to_string(r->bytes) + " bytes");
    return r->id;
  }
  void Into(const std::string& text, int bytes) {
    if (in_.nd == 4) throw PtxError("too many results");
    in_.d[in_.nd++] = text == "_" ? b_.NewRegister(bytes) : RegisterId(text, bytes);
  }
  void From(const std::string& text, int bytes) {
    if (in_.ns == 10) throw PtxError("too many operands");
    uint64_t bits = 0;
    in_.s[in_.ns++] =
        Immediate(text, bytes, &bits) ? b_.Constant(bits, bytes) : RegisterId(text, bytes);
  }
  void IntoPredicate(const std::string& text) {
    kinds_.d |= 1u << in_.nd;
    in_.d[in_.nd++] = Predicate(text);
  }
  void FromPredicate(const std::string& text) {
    kinds_.s |= 1u << in_.ns;
    in_.s[in_.ns++] = Predicate(text);
  }
  uint32_t Predicate(const std::string& text) const {
    const Register* r = b_.Find(text);
    if (!r || !r->predicate) throw PtxError("no predicate " + text);
    return r->id;
  }
  // "%r1|%p1"
  std::vector<std::string> Alternatives(const std::string& text) const {
    const size_t bar = text.find('|');
    if (bar == std::string::npos) return {text};
    return {Trimmed(text.substr(0, bar)), Trimmed(text.substr(bar + 1))};
  }

  bool Immediate(const std::string& text, int bytes, uint64_t* bits) const {
    if (text.empty()) throw PtxError("an operand is missing");
    if (text.rfind("0f", 0) == 0 || text.rfind("0F", 0) == 0 || text.rfind("0d", 0) == 0) {
      *bits = std::strtoull(text.c_str() + 2, nullptr, 16);
      return true;
    }
    if (!std::isdigit(static_cast<unsigned char>(text[0])) && text[0] != '-') {
      int64_t address;
      if (!Symbol(text, &address)) return false;
      *bits = static_cast<uint64_t>(address);
      return true;
    }
    char* end = nullptr;
    *bits = text[0] == '-' ? static_cast<uint64_t>(std::strtoll(text.c_str(), &end, 0))
                           : std::strtoull(text.c_str(), &end, 0);
    if (*end == 'U') ++end;
    if (*end) throw PtxError("number not understood: " + text);
    if (bytes < 8) *bits &= (uint64_t{1} << 8 * bytes) - 1;
    return true;
  }

  // Shared variables and parameters stand for their addresses.
  bool Symbol(const std::string& name, int64_t* address) const {
    if (const auto it = b_.shared.find(name); it != b_.shared.end()) {
      *address = it->second;
      return true;
    }
    if (b_.dynamic_shared.count(name)) {
      *address = b_.DynamicShared();
      return true;
    }
    if (const auto it = b_.local.find(name); it != b_.local.end()) {
      *address = it->second;
      return true;
    }
    const auto it = b_.kernel.parameters.find(name);
    if (it == b_.kernel.parameters.end()) return false;
    *address = it->second;
    return true;
  }

  static std::vector<std::string> List(const std::string& text) {
    if (text.empty() || text.front() != '{' || text.back() != '}') {
      throw PtxError("a list in braces expected: " + text);
    }
    return SplitOperands(text.substr(1, text.size() - 2));
  }

  static Place ReadPlace(const std::string& text) {
    if (text.size() < 3 || text.front() != '[' || text.back() != ']') {
      throw PtxError("an address expected: " + text);
    }
    const std::string inside = Trimmed(text.substr(1, text.size() - 2));
    const size_t plus = inside.find('+');
    Place place{Trimmed(inside.substr(0, plus)), 0};
    if (plus != std::string::npos) {
      place.offset = std::strtoll(inside.c_str() + plus + 1, nullptr, 0);
    }
    return place;
  }

  // Sets the base (s[0]) and its width, or an absolute address.
  void Address(const std::string& text) {
    const Place place = ReadPlace(text);
    in_.offset = place.offset;
    if (const Register* r = b_.Find(place.base)) {
      in_.mode |= r->bytes == 8 ? 8 : 4;
      in_.s[in_.ns++] = r->id;
      return;
    }
    int64_t address = 0;
    if (!Symbol(place.base, &address)) throw PtxError("no address " + place.base);
    in_.offset += address;
  }

  // ---- kinds of instructions
  // ---------------------------------------------------------------------

  void Simple(const Form& form) {
    size_t operand = 0;
    bool results = true;
    for (const char* c = form.operands; *c; ++c) {
      if (*c == '=') {
        results = false;
        continue;
      }
      if (operand >= operands_.size()) throw PtxError("an operand is missing");
      const std::string& text = operands_[operand++];
      if (*c == 'p') {
        results ? IntoPredicate(text) : FromPredicate(text);
      } else {
        results ? Into(text, *c - '0') : From(text, *c - '0');
      }
    }
    Want(operand);
    in_.execute = form.execute;
    Append();
  }

  // Moves of parts, special registers and addresses; false: an ordinary one.
  bool Move() {
    Want(2);
    const std::string &to = operands_[0], &from = operands_[1];
    const int bytes = BytesOfType(parts_.back());
    if (from[0] == '{' || to[0] == '{') {
      if (bytes < 4 || parts_.size() != 2) Unknown();
      in_.bytes = static_cast<uint8_t>(bytes / 2);
      const std::vector<std::string> halves = List(from[0] == '{' ? from : to);
      if (halves.size() != 2) throw PtxError("two halves expected");
      if (from[0] == '{') {
        Into(to, bytes);
        for (const std::string& half : halves) From(half, bytes / 2);
        in_.execute = JoinHalves;
      } else {
        for (const std::string& half : halves) Into(half, bytes / 2);
        From(from, bytes);
        in_.execute = SplitHalves;
      }
      return true;
    }
    static const std::map<std::string, uint8_t> specials = {
        {"%tid.x", kTid},       {"%tid.y", kTid + 1},       {"%tid.z", kTid + 2},
        {"%ntid.x", kNtid},     {"%ntid.y", kNtid + 1},     {"%ntid.z", kNtid + 2},
        {"%ctaid.x", kCtaid},   {"%ctaid.y", kCtaid + 1},   {"%ctaid.z", kCtaid + 2},
        {"%nctaid.x", kNctaid}, {"%nctaid.y", kNctaid + 1}, {"%nctaid.z", kNctaid + 2},
        {"%laneid", kLaneId},   {"%warpid", kWarpId}};
    const auto it = specials.find(from);
    if (it == specials.end()) return false;
    Into(to, 4);
    in_.mode = it->second;
    in_.execute = ReadSpecial;
    return true;
  }

  // setp.lt.f32 p[|q], a, b  or  setp.lt.and.f32 p[|q], a, b, r
  void Comparison() {
    static const std::map<std::string, uint8_t> combine = {
        {"and", kCombineAnd}, {"or", kCombineOr}, {"xor", kCombineXor}};
    const bool combined = parts_.size() == 4;
    if (parts_.size() != 3 && !(combined && combine.count(parts_[2]))) Unknown();
    Want(combined ? 4 : 3);
    const std::string& type = parts_.back();
    in_.execute = FindComparison(parts_[1], type);
    if (!in_.execute) Unknown();
    for (const std::string& p : Alternatives(operands_[0])) IntoPredicate(p);
    From(operands_[1], BytesOfType(type));
    From(operands_[2], BytesOfType(type));
    if (!combined) return;
    in_.mode = combine.at(parts_[2]);
    FromPredicate(operands_[3]);
  }

  // ld.SPACE[.nc][.v2|.v4].TYPE: sets space, vector, bytes.
  void MemoryForm(bool load) {
    static const std::map<std::string, Space> spaces = {{"global", Space::kGlobal},
                                                        {"shared", Space::kShared},
                                                        {"local", Space::kLocal},
                                                        {"param", Space::kParam}};
    size_t i = 1;
    if (i < parts_.size() && parts_[i] == "volatile") ++i;
    if (i < parts_.size()) {
      if (const auto it = spaces.find(parts_[i]); it != spaces.end()) {
        in_.space = it->second;
        ++i;
      }
    }
    if (load && i < parts_.size() && parts_[i] == "nc") ++i;
    if (i < parts_.size() && (parts_[i] == "v2" || parts_[i] == "v4")) {
      in_.vector = parts_[i][1] == '2' ? 2 : 4;
      ++i;
    }
    if (i + 1 != parts_.size() || !BytesOfType(parts_[i])) Unknown();
    in_.bytes = static_cast<uint8_t>(BytesOfType(parts_[i]));
    if (parts_[i][0] == 's') in_.mode |= 1;
  }

  void Element(const std::string& text, bool load) {
    uint64_t bits = 0;
    if (!load && !b_.Find(text) && Immediate(text, in_.bytes, &bits)) {
      const int bytes = in_.bytes == 8 ? 8 : 4;
      if (bytes == 8) in_.mode |= 2;
      in_.s[in_.ns++] = b_.Constant(bits, bytes);
      return;
    }
    const uint32_t id = RegisterId(text, in_.bytes == 1 ? 2 : in_.bytes, false);
    if (b_.registers[id].bytes == 8) in_.mode |= 2;
    if (load) {
      in_.d[in_.nd++] = id;
    } else {
      in_.s[in_.ns++] = id;
    }
  }

  void Load() {
    Want(2);
    MemoryForm(true);
    Address(operands_[1]);
    for (const std::string& to :
         in_.vector > 1 ? List(operands_[0]) : std::vector<std::string>{operands_[0]}) {
      Element(to, true);
    }
    if (in_.nd != in_.vector) throw PtxError("another number of registers than elements");
    in_.execute = LoadElements;
  }

  void Store() {
    Want(2);
    MemoryForm(false);
    in_.mode &= 0xfe;
    Address(operands_[0]);
    for (const std::string& from :
         in_.vector > 1 ? List(operands_[1]) : std::vector<std::string>{operands_[1]}) {
      Element(from, false);
    }
    if (in_.ns != in_.vector + (in_.mode & 12 ? 1 : 0)) {
      throw PtxError("another number of registers than elements");
    }
    in_.execute = StoreElements;
  }

  // A shared address of 32 bits in s[0], with its offset.
  void SharedAddress(const std::string& text) {
    const Place place = ReadPlace(text);
    in_.offset = place.offset;
    From(place.base, 4);
  }

  void OfWarps() {
    if (name_ == "bar.sync" || name_ == "barrier.sync" || name_ == "barrier.sync.aligned") {
      in_.execute = Barrier;
      in_.all_lanes = true;
      for (const std::string& operand : operands_) From(operand, 4);
      if (operands_.empty() || operands_.size() > 2) throw PtxError("1 or 2 operands expected");
    } else if (name_ == "bar.warp.sync") {
      Want(1);
      From(operands_[0], 4);
      in_.execute = SyncWarp;
    } else if (parts_[0] == "shfl") {
      static const std::map<std::string, uint8_t> modes = {{"shfl.sync.up.b32", kUp},
                                                           {"shfl.sync.down.b32", kDown},
                                                           {"shfl.sync.bfly.b32", kButterfly},
                                                           {"shfl.sync.idx.b32", kIndex}};
      const auto it = modes.find(name_);
      if (it == modes.end()) Unknown();
      Want(5);
      in_.mode = it->second;
      const std::vector<std::string> to = Alternatives(operands_[0]);
      Into(to[0], 4);
      if (to.size() > 1) IntoPredicate(to[1]);
      for (size_t i = 1; i < 5; ++i) From(operands_[i], 4);
      in_.execute = Shuffle;
    } else if (parts_[0] == "vote") {
      static const std::map<std::string, uint8_t> modes = {{"vote.sync.ballot.b32", kBallot},
                                                           {"vote.sync.any.pred", kAny},
                                                           {"vote.sync.all.pred", kAll}};
      const auto it = modes.find(name_);
      if (it == modes.end()) Unknown();
      Want(3);
      in_.mode = it->second;
      in_.mode == kBallot ? Into(operands_[0], 4) : IntoPredicate(operands_[0]);
      std::string predicate = operands_[1];
      in_.offset = predicate[0] == '!';
      if (in_.offset) predicate = predicate.substr(1);
      FromPredicate(predicate);
      From(operands_[2], 4);
      in_.execute = Vote;
    } else if (parts_[0] == "ldmatrix") {
      Matrix();
    } else if (parts_[0] == "mma") {
      Product();
    } else if (parts_[0] == "cp") {
      Copy();
    } else if (name_ == "atom.global.add.f32" || name_ == "red.global.add.f32") {
      const bool returns = parts_[0] == "atom";
      Want(returns ? 3 : 2);
      if (returns) Into(operands_[0], 4);
      in_.space = Space::kGlobal;
      Address(operands_[returns ? 1 : 0]);
      From(operands_.back(), 4);
      in_.execute = AtomicAddF32;
    } else {
      Unknown();
    }
  }

  void Matrix() {
    static const std::map<std::string, uint8_t> counts = {{"x1", 1}, {"x2", 2}, {"x4", 4}};
    const std::string start = "ldmatrix.sync.aligned.m8n8.";
    if (name_.rfind(start, 0) != 0 || name_.size() < start.size() + 2) Unknown();
    const auto it = counts.find(name_.substr(start.size(), 2));
    const std::string rest = name_.substr(start.size() + 2);
    if (it == counts.end()) Unknown();
    if (rest == ".trans.shared.b16") {
      in_.mode = 1;
    } else if (rest != ".shared.b16") {
      Unknown();
    }
    Want(2);
    in_.vector = it->second;
    const std::vector<std::string> to = List(operands_[0]);
    if (to.size() != in_.vector) throw PtxError("another number of registers than matrices");
    for (const std::string& r : to) Into(r, 4);
    SharedAddress(operands_[1]);
    in_.all_lanes = true;
    in_.execute = LoadMatrix;
  }

  void Product() {
    static const std::map<std::string, uint8_t> forms = {
        {"m16n8k16.row.col.f32.bf16.bf16.f32", kMmaBf16K16},
        {"m16n8k16.row.col.f32.f16.f16.f32", kMmaF16K16},
        {"m16n8k8.row.col.f32.bf16.bf16.f32", kMmaBf16K8},
        {"m16n8k8.row.col.f32.f16.f16.f32", kMmaF16K8},
        {"m16n8k8.row.col.f32.tf32.tf32.f32", kMmaTf32K8}};
    const std::string start = "mma.sync.aligned.";
    if (name_.rfind(start, 0) != 0) Unknown();
    const auto it = forms.find(name_.substr(start.size()));
    if (it == forms.end()) Unknown();
    Want(4);
    in_.mode = it->second;
    const bool full = in_.mode <= kMmaF16K16 || in_.mode == kMmaTf32K8;
    const size_t counts[] = {4, full ? 4u : 2u, full ? 2u : 1u, 4};
    for (size_t i = 0; i < 4; ++i) {
      const std::vector<std::string> list = List(operands_[i]);
      if (list.size() != counts[i]) throw PtxError("fragments of another size");
      for (const std::string& r : list) i == 0 ? Into(r, 4) : From(r, 4);
    }
    in_.all_lanes = true;
    in_.execute = MultiplyMatrices;
  }

  void Copy() {
    if (name_ == "cp.async.commit_group") {
      Want(0);
      in_.execute = CommitCopies;
    } else if (name_ == "cp.async.wait_group") {
      Want(1);
      in_.offset = std::strtoll(operands_[0].c_str(), nullptr, 0);
      in_.execute = WaitCopies;
    } else if (name_ == "cp.async.wait_all") {
      Want(0);
      in_.mode = 1;
      in_.execute = WaitCopies;
    } else if (name_ == "cp.async.cg.shared.global" || name_ == "cp.async.ca.shared.global") {
      if (operands_.size() != 3 && operands_.size() != 4)
        throw PtxError("3 or 4 operands expected");
      SharedAddress(operands_[0]);
      const Place from = ReadPlace(operands_[1]);
      From(from.base, 8);
      in_.offset2 = from.offset;
      const int bytes = std::atoi(operands_[2].c_str());
      const bool whole = parts_[2] == "cg";
      if (bytes != 16 && (whole || (bytes != 4 && bytes != 8))) {
        throw PtxError("a copy of " + operands_[2] + " bytes");
      }
      in_.bytes = static_cast<uint8_t>(bytes);
      if (operands_.size() == 4) From(operands_[3], 4);
      in_.execute = CopyAsync;
    } else {
      Unknown();
    }
  }

  Builder& b_;
  const std::string& name_;
  const std::vector<std::string> parts_;
  const std::vector<std::string> operands_;
  Instr in_;
  PredicateOperands kinds_;
};

}  // namespace

void Decode(Builder& builder, const std::string& name, std::vector<std::string> operands,
            Instr instruction) {
  Decoder(builder, name, std::move(operands), instruction).Run();
}

}  // namespace fovea::ptx
