#include "app/cli_commands/hunt/command_scorer.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "models/files/text_file.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tensor/error.h"

extern char** environ;

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostAnswer = 16 << 20;

class CommandScorer final : public PictureScorer {
 public:
  explicit CommandScorer(std::string command) : command_(std::move(command)) {
    std::string pattern = (fs::temp_directory_path() / "fovea-hunt-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) Bad(std::string("no folder: ") + std::strerror(errno));
    folder_ = pattern;
  }
  ~CommandScorer() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::vector<double> Score(const std::vector<ScoredPicture>& pictures) override {
    std::string names;
    for (size_t i = 0; i < pictures.size(); ++i) {
      const fs::path file = folder_ / (std::to_string(i) + ".png");
      WritePng(file, *pictures[i].image, {});
      std::ofstream(fs::path(file).replace_extension(".txt")) << pictures[i].prompt << "\n";
      names += file.string() + "\n";
    }
    return Numbers(Ask(names), pictures.size());
  }

 private:
  [[noreturn]] void Bad(const std::string& what) const {
    throw Error(ErrorCode::kBadFile, "--score command:" + command_.substr(0, 120) + ": " + what);
  }

  // Files stand between the two, so that neither waits for the other.
  std::string Ask(const std::string& names) const {
    const fs::path in = folder_ / "names", out = folder_ / "numbers";
    std::ofstream(in) << names;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, in.c_str(), 0, 0);
    posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    // The program's own signals: those that this one waits for are blocked in all of its threads.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::string shell = "sh", flag = "-c", command = command_;
    char* const arguments[] = {shell.data(), flag.data(), command.data(), nullptr};
    pid_t child = 0;
    const int error = posix_spawn(&child, "/bin/sh", &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) Bad(std::strerror(error));
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      Bad(WIFEXITED(status) ? "ended with exit code " + std::to_string(WEXITSTATUS(status))
                            : "was ended by signal " + std::to_string(WTERMSIG(status)));
    }
    return ReadTextFile(out, kMostAnswer);
  }

  std::vector<double> Numbers(const std::string& text, size_t count) const {
    std::vector<double> numbers;
    for (size_t at = 0; at < text.size();) {
      at = text.find_first_not_of(" \t\r\n", at);
      if (at == std::string::npos) break;
      const size_t end = std::min(text.find_first_of(" \t\r\n", at), text.size());
      double value = NAN;
      const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, value);
      if (error != std::errc() || rest != text.data() + end || !std::isfinite(value)) {
        Bad("printed \"" + text.substr(at, std::min<size_t>(end - at, 40)) +
            "\", which is no finite number");
      }
      numbers.push_back(value);
      at = end;
    }
    if (numbers.size() != count) {
      Bad("printed " + std::to_string(numbers.size()) + " numbers for " + std::to_string(count) +
          " pictures");
    }
    return numbers;
  }

  std::string command_;
  fs::path folder_;
};

}  // namespace

std::unique_ptr<PictureScorer> MakeCommandScorer(const std::string& command) {
  return std::make_unique<CommandScorer>(command);
}

}  // namespace fovea
