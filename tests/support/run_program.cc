#include "tests/support/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

extern char** environ;

namespace fovea {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe: no more file descriptors");
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    CloseWrite();
    if (read >= 0) close(read);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void CloseWrite() {
    if (write >= 0) close(write);
    write = -1;
  }
};

std::vector<std::string> Environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

pid_t Spawn(const fs::path& program, const std::vector<std::string>& arguments,
            const RunOptions& options, const Pipe& out, const Pipe& err) {
  std::vector<std::string> words = {program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = Environment(options.env);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write, STDERR_FILENO);
  if (!options.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
  }
  pid_t pid = -1;
  const int failure = posix_spawn(&pid, program.c_str(), &actions, nullptr, Pointers(words).data(),
                                  Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    throw std::runtime_error("cannot start " + program.string() + ": " + std::strerror(failure));
  }
  return pid;
}

// Appends what is ready; false at the end of the stream.
bool Drain(int from, std::string& to) {
  char bytes[4096];
  const ssize_t count = read(from, bytes, sizeof(bytes));
  if (count > 0) to.append(bytes, static_cast<size_t>(count));
  return count > 0 || (count < 0 && errno == EINTR);
}

// Reads both streams until they end; kills or interrupts the program as the options say.
void Collect(pid_t pid, const RunOptions& options, int out, int err, ProgramResult& result) {
  const auto deadline = Clock::now() + options.timeout;
  bool interrupted = options.interrupt_after.empty();
  pollfd streams[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      result.timed_out = true;
      kill(pid, SIGKILL);
      return;
    }
    if (poll(streams, 2, static_cast<int>(left.count())) <= 0) continue;
    if (streams[0].revents != 0 && !Drain(out, result.out)) streams[0].fd = -1;
    if (streams[1].revents != 0 && !Drain(err, result.err)) streams[1].fd = -1;
    if (!interrupted && result.err.find(options.interrupt_after) != std::string::npos) {
      interrupted = true;
      kill(pid, SIGINT);
    }
  }
}

}  // namespace

fs::path ProgramFolder() {
  if (const char* folder = std::getenv("FOVEA_BIN"); folder != nullptr && *folder != '\0') {
    return folder;
  }
  return fs::read_symlink("/proc/self/exe").parent_path();
}

ProgramResult RunProgram(const fs::path& program, const std::vector<std::string>& arguments,
                         const RunOptions& options) {
  const auto start = Clock::now();
  Pipe out, err;
  const pid_t pid = Spawn(program, arguments, options, out, err);
  out.CloseWrite();
  err.CloseWrite();

  ProgramResult result;
  Collect(pid, options, out.read, err.read, result);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

ProgramResult RunFovea(const std::vector<std::string>& arguments, const RunOptions& options) {
  return RunProgram(fs::absolute(ProgramFolder() / "fovea"), arguments, options);
}

}  // namespace fovea
