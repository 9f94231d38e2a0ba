#include "pipelines/pictures/image.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace fovea {

Image ToImage(const Tensor& x) {
  ENSURE(x.shape.rank == 3 && x.shape[2] == 3 && x.IsContiguous(), "ToImage: (h,w,3)");
  Image image;
  image.height = static_cast<int>(x.shape[0]);
  image.width = static_cast<int>(x.shape[1]);
  image.rgb.resize(static_cast<size_t>(x.NumElements()));
  const float* in = x.Data<float>();
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    // NaN becomes 0, for previews; pictures that are kept are checked before they come here.
    const float unit = in[i] * 0.5f + 0.5f;
    const float inside = unit > 0 ? std::min(unit, 1.0f) : 0.0f;
    image.rgb[i] = static_cast<uint8_t>(std::nearbyint(inside * 255.0f));
  }
  return image;
}

}  // namespace fovea
