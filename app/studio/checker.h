// Answers before a run: is it possible, what would it take, how does the text encoder read it?
//
// Has its own copy of the pipeline, which packs no weights and computes nothing, so that questions
// are answered while the engine is busy. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "app/engine/model_access.h"
#include "app/engine/picture_task.h"
#include "ui/snapshot.h"

namespace fovea {

class Checker {
 public:
  explicit Checker(ModelAccess access);
  ~Checker();

  // `given`: what the settings name; `missing`: why that could not be read, or empty.
  // `flops_per_second` of this model, measured; 0: not yet. Never throws for what is wrong with the
  // settings: that is the answer.
  CheckView Check(uint64_t version, const GenerateSettings& settings, const GivenInputs& given,
                  const std::string& missing, double flops_per_second);
  // Why these settings would not run with another attention plan; empty: they would.
  std::string ProblemOf(const GenerateSettings& settings, const std::string& plan);
  // Of the model of the last Check that could open one; null before, and after one that could not.
  std::shared_ptr<const ModelView> Model() const { return view_; }
  const std::string& ModelError() const { return model_error_; }
  // Settings as they will run: LoRA tags taken out of the prompt.
  static GenerateSettings Prepared(const GenerateSettings& settings);

 private:
  struct Loaded;
  void Load(const GenerateSettings& settings);
  static void RefuseOddNumbers(const GenerateSettings& asked);
  void FindFix(const GenerateSettings& settings, const GivenInputs& given, CheckView* view) const;
  void Answer(const GenerateSettings& asked, const GivenInputs& given, const std::string& missing,
              double flops_per_second, CheckView* view);
  bool RefuseTooLarge(const GenerateSettings& asked, CheckView* view) const;
  void DescribeSites(const GenerateSettings& resolved);
  PromptView ReadPrompt(const GenerateSettings& settings, const std::string& prompt) const;

  ModelAccess access_;
  std::unique_ptr<Loaded> loaded_;
  std::shared_ptr<const ModelView> view_;
  std::string model_error_;
  int last_rows_ = 0, last_columns_ = 0;
};

// The tokens of a site at another latent size than the model's own: every level halves, rounding
// up.
int ScaledSide(int site, int model_latent, int latent);

}  // namespace fovea
