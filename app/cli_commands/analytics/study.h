// The pictures of `fovea inspect --analytics`, and the question that the model answers about each.
//
// Beside a picture NAME.png may stand NAME.txt, its caption, and masks/NAME.png, white where its
// subject is; for the same-object probe every grey value but 0 is an object. The question is which
// of the model's classes a picture shows; the right one is what the model says of the untouched
// picture. CLIP is asked which of all captions belongs to the picture or, without captions, which
// of all pictures it is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/model_folder.h"
#include "pipelines/analytics/head_importance.h"
#include "pipelines/maps/gradient_relevance.h"
#include "pipelines/vision/picture_model.h"

namespace fovea {

struct AnalyticsRequest {
  std::vector<std::string> kinds;  // of AnalyticsKinds()
  const ModelFolder& folder;
  PictureModel& model;
  Backend& backend;
  std::vector<std::filesystem::path> files;
  ForwardOptions options;
};

// `request` must outlive it. Throws Cancelled where its options ask for a stop.
class Study {
 public:
  explicit Study(const AnalyticsRequest& request);

  const AnalyticsRequest& Request() const { return request_; }
  const std::vector<Image>& Pictures() const { return pictures_; }
  // The right answers; throws kUnsupported where the model has none to ask about.
  const std::vector<size_t>& Right() const;
  // Picture i's right answer, as what a map may be about.
  RelevanceTarget TargetOf(size_t i) const;
  // masks/NAME.png of picture i, whether there is one or not.
  std::filesystem::path MaskFile(size_t i) const;
  PictureReading Read(const Image& picture, const std::vector<AttentionListener*>& listeners);

 private:
  void ReadCaptions();

  const AnalyticsRequest& request_;
  std::vector<Image> pictures_;
  std::vector<size_t> right_;
  std::vector<std::vector<float>> answers_;  // vectors of length 1; empty: the model's classes
};

}  // namespace fovea
