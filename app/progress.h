// Progress of a run on standard error: a bar on a terminal, plain lines elsewhere.
#pragma once

namespace fovea {

class Progress {
 public:
  Progress();
  ~Progress();  // ends the bar's line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of `steps` are finished; the last one took `seconds`.
  void Step(int done, int steps, double seconds);
  void End();

 private:
  bool terminal_ = false;
  bool open_ = false;  // a bar stands without its line end
  double total_ = 0;   // seconds of all steps so far
};

}  // namespace fovea
