// Runs a fuzz target on random mutations of its seeds, with any compiler; clang's libFuzzer, which
// is guided by coverage, replaces this main() where it is built in.
//
//   NAME_fuzz [SECONDS [SEED]]     prints how many inputs were tried
//   NAME_fuzz --write-seeds DIR    the seeds as files: a corpus for libFuzzer
//   NAME_fuzz FILE...              tries these files
//
// The input that crashes is left in ./crash-NAME_fuzz.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/fuzz/fuzz_target.h"

namespace {

using Clock = std::chrono::steady_clock;
using Random = std::mt19937_64;

constexpr size_t kMaxInput = 1 << 17;
constexpr double kTooSlow = 10;  // seconds of processor time for one input: a hang

char crash_file[512];
const std::string* current_input = nullptr;

void SaveInputAndDie(int signal) {
  std::signal(signal, SIG_DFL);
  const int file = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0 && current_input != nullptr) {
    const ssize_t written = write(file, current_input->data(), current_input->size());
    (void)written;
    close(file);
  }
  std::raise(signal);
}

size_t Below(Random& random, size_t limit) {
  return limit == 0 ? 0 : random() % limit;
}

// What parsers stumble over: limits of integers, nesting, broken text.
const char* const kDictionary[] = {"0",
                                   "3",
                                   "64",
                                   "4096",
                                   "-1",
                                   "1e999",
                                   "NaN",
                                   "-Infinity",
                                   "2147483648",
                                   "4294967296",
                                   "9223372036854775807",
                                   "9223372036854775808",
                                   "18446744073709551615",
                                   "99999999999999999999",
                                   "0.5",
                                   "1e300",
                                   "null",
                                   "true",
                                   "[]",
                                   "{}",
                                   "\"\"",
                                   "[[[[[[[[",
                                   "{\"a\":",
                                   ",",
                                   ":",
                                   "\"",
                                   "\\u0000",
                                   "\\ud800",
                                   "\n",
                                   "\xff",
                                   "\xf0\x9f\x98\x80",
                                   "\xed\xa0\x80",
                                   "\xcc\x81",
                                   "<|endoftext|>",
                                   "../",
                                   "x4096x4096",
                                   "=",
                                   "%",
                                   " else ",
                                   "*",
                                   "\x80"};

constexpr size_t kNumbers = 16;  // at the start of the dictionary

void Mutate(std::string& input, const std::vector<std::string>& seeds, Random& random) {
  const size_t at = Below(random, input.size() + 1);
  const size_t length = Below(random, std::min<size_t>(input.size() - at, 32) + 1);
  switch (random() % 9) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random() % 8));
      break;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(random());
      break;
    case 2:
      input.insert(at, 1, static_cast<char>(random()));
      break;
    case 3:
      input.erase(at, length);
      break;
    case 4:
      input.insert(Below(random, input.size() + 1), input.substr(at, length));
      break;
    case 5:
      input.replace(at, length, kDictionary[Below(random, std::size(kDictionary))]);
      break;
    case 6:
      input.resize(at);
      break;
    case 7: {
      const std::string& other = seeds[Below(random, seeds.size())];
      input.replace(at, std::string::npos, other.substr(Below(random, other.size() + 1)));
      break;
    }
    default: {  // a number of the text by another one
      const size_t digit = input.find_first_of("0123456789", at);
      if (digit == std::string::npos) break;
      const size_t end = std::min(input.find_first_not_of("0123456789", digit), input.size());
      input.replace(digit, end - digit, kDictionary[Below(random, kNumbers)]);
    }
  }
  if (input.size() > kMaxInput) input.resize(kMaxInput);
}

void Try(const std::string& input) {
  current_input = &input;
  // Not by the wall clock: on a busy machine a process may wait for longer than this.
  const std::clock_t begin = std::clock();
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  if (static_cast<double>(std::clock() - begin) > kTooSlow * CLOCKS_PER_SEC) std::raise(SIGABRT);
}

int WriteSeeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  size_t index = 0;
  for (const std::string& seed : fovea::FuzzSeeds()) {
    std::ofstream(folder / std::to_string(index++), std::ios::binary) << seed;
  }
  return 0;
}

int Fuzz(double seconds, uint64_t seed) {
  const std::vector<std::string> seeds = fovea::FuzzSeeds();
  for (const std::string& input : seeds) Try(input);
  Random random(seed);
  size_t count = seeds.size();
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    std::string input = seeds[Below(random, seeds.size())];
    for (size_t i = 1 + Below(random, 6); i > 0; --i) Mutate(input, seeds, random);
    Try(input);
    ++count;
  }
  std::printf("%zu inputs in %.0f s\n", count, seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  std::snprintf(crash_file, sizeof crash_file, "crash-%s", name.c_str());
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS}) {
    std::signal(signal, SaveInputAndDie);
  }
  if (argc == 3 && std::strcmp(argv[1], "--write-seeds") == 0) return WriteSeeds(argv[2]);
  if (argc > 1 && std::filesystem::exists(argv[1])) {
    for (int i = 1; i < argc; ++i) {
      std::ostringstream text;
      text << std::ifstream(argv[i], std::ios::binary).rdbuf();
      Try(text.str());
    }
    return 0;
  }
  return Fuzz(argc > 1 ? std::atof(argv[1]) : 10,
              argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
}
