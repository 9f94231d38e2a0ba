#include "tests/reference/reference_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fovea {
namespace {

double Load(const Tensor& t, int64_t offset) {
  const auto* p = static_cast<const std::byte*>(t.data) + offset * int64_t(SizeOf(t.dtype));
  switch (t.dtype) {
    case DType::kF32: {
      float value;
      std::memcpy(&value, p, sizeof value);
      return value;
    }
    case DType::kBF16: {
      BFloat16 value;
      std::memcpy(&value, p, sizeof value);
      return ToFloat(value);
    }
    case DType::kF16: {
      Float16 value;
      std::memcpy(&value, p, sizeof value);
      return ToFloat(value);
    }
    default:
      ENSURE(false, "not a float tensor");
      return 0;
  }
}

// out = act(y + bias) + residual, the channel is the last axis.
void Finish(Reference& y, const Weight& weight, const Epilogue& epilogue) {
  const int64_t c = y.shape[-1];
  Reference bias({c});
  if (!weight.bias.Empty()) bias = Reference::Of(weight.bias);
  for (size_t i = 0; i < y.v.size(); ++i) {
    y.v[i] = ReferenceAct(epilogue.act, y.v[i] + bias.v[i % static_cast<size_t>(c)]);
  }
  if (!epilogue.residual) return;
  const Reference residual = Reference::Of(*epilogue.residual);
  for (size_t i = 0; i < y.v.size(); ++i) y.v[i] += residual.v[i];
}

}  // namespace

Reference Reference::Of(const Tensor& t) {
  Reference r(t.shape);
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    int64_t rest = i;
    int64_t offset = 0;
    for (int axis = t.shape.rank - 1; axis >= 0; --axis) {
      offset += rest % t.shape.dim[axis] * t.stride[axis];
      rest /= t.shape.dim[axis];
    }
    r.v[static_cast<size_t>(i)] = Load(t, offset);
  }
  return r;
}

double ReferenceAct(Act act, double x) {
  switch (act) {
    case Act::kNone:
      return x;
    case Act::kSilu:
      return x / (1 + std::exp(-x));
    case Act::kGeluErf:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Act::kGeluTanh: {
      const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
      return x / (1 + std::exp(-2 * u));  // 1/2 (1 + tanh u), without its cancellation
    }
    case Act::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Act::kRelu:
      return std::max(x, 0.0);
  }
  return NAN;
}

Reference ReferenceLinear(const Tensor& x, const Weight& weight, const Epilogue& epilogue) {
  const Reference a = Reference::Of(x);
  const Reference w = Reference::Of(weight.w);
  const int64_t in = weight.In();
  const int64_t rows = x.NumElements() / in;
  Shape shape = x.shape;
  shape[-1] = weight.Out();
  Reference y(shape);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < weight.Out(); ++o) {
      double sum = 0;
      for (int64_t i = 0; i < in; ++i) sum += a.v[r * in + i] * w.v[o * in + i];
      y.v[r * weight.Out() + o] = sum;
    }
  }
  Finish(y, weight, epilogue);
  return y;
}

Reference ReferenceConv2d(const Tensor& x, const Weight& weight, const Conv2dParams& params,
                          const Epilogue& epilogue) {
  const Reference a = Reference::Of(x);
  const Reference w = Reference::Of(weight.w);
  const int64_t height = x.shape[1], width = x.shape[2], in = x.shape[3];
  const int64_t kh = weight.w.shape[2], kw = weight.w.shape[3], out = weight.Out();
  const int64_t d = params.dilation, reach_h = d * (kh - 1) + 1, reach_w = d * (kw - 1) + 1;
  const int64_t out_h = (height + params.pad_top + params.pad_bottom - reach_h) / params.stride + 1;
  const int64_t out_w = (width + params.pad_left + params.pad_right - reach_w) / params.stride + 1;
  Reference y({x.shape[0], out_h, out_w, out});
  size_t next = 0;
  for (int64_t n = 0; n < x.shape[0]; ++n)
    for (int64_t oh = 0; oh < out_h; ++oh)
      for (int64_t ow = 0; ow < out_w; ++ow)
        for (int64_t o = 0; o < out; ++o) {
          double sum = 0;
          for (int64_t ky = 0; ky < kh; ++ky)
            for (int64_t kx = 0; kx < kw; ++kx) {
              const int64_t iy = oh * params.stride + d * ky - params.pad_top;
              const int64_t ix = ow * params.stride + d * kx - params.pad_left;
              if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
              for (int64_t i = 0; i < in; ++i) {
                sum += a.v[((n * height + iy) * width + ix) * in + i] *
                       w.v[((o * in + i) * kh + ky) * kw + kx];
              }
            }
          y.v[next++] = sum;
        }
  Finish(y, weight, epilogue);
  return y;
}

Reference ReferenceGroupNorm(const Tensor& x, const GroupNormParams& params) {
  Reference y = Reference::Of(x);
  const int64_t n = x.shape[0], c = x.shape[-1], pixels = x.NumElements() / (n * c);
  const auto per_sample = [&](const Tensor& t) {
    return t.Empty() ? Reference({n, c}) : Reference::Of(t);
  };
  const Reference add = per_sample(params.add);
  const Reference scale = per_sample(params.scale);
  const Reference shift = per_sample(params.shift);
  const Reference gamma = Reference::Of(params.gamma);
  const Reference beta = Reference::Of(params.beta);
  const int64_t per_group = c / params.groups;
  for (int64_t s = 0; s < n; ++s) {
    for (int64_t g = 0; g < params.groups; ++g) {
      const auto each = [&](auto&& f) {
        for (int64_t p = 0; p < pixels; ++p) {
          for (int64_t ch = g * per_group; ch < (g + 1) * per_group; ++ch) {
            f(y.v[(s * pixels + p) * c + ch], ch);
          }
        }
      };
      double sum = 0, square = 0;
      const double count = static_cast<double>(pixels * per_group);
      each([&](double& v, int64_t ch) { sum += v += add.v[s * c + ch]; });
      const double mean = sum / count;
      each([&](double& v, int64_t) { square += (v - mean) * (v - mean); });
      const double inverse = 1 / std::sqrt(square / count + double(params.eps));
      each([&](double& v, int64_t ch) {
        v = ((v - mean) * inverse * gamma.v[ch] + beta.v[ch]) * (1 + scale.v[s * c + ch]) +
            shift.v[s * c + ch];
        v = ReferenceAct(params.act, v);
      });
    }
  }
  return y;
}

Reference ReferenceLayerNorm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) {
  Reference y = Reference::Of(x);
  const int64_t c = x.shape[-1];
  for (int64_t r = 0; r < x.NumElements() / c; ++r) {
    double* row = y.v.data() + r * c;
    double mean = 0, square = 0;
    for (int64_t i = 0; i < c; ++i) mean += row[i] / double(c);
    for (int64_t i = 0; i < c; ++i) square += (row[i] - mean) * (row[i] - mean) / double(c);
    for (int64_t i = 0; i < c; ++i) {
      row[i] = (row[i] - mean) / std::sqrt(square + double(eps));
      if (!gamma.Empty()) row[i] *= gamma.Data<float>()[i];
      if (!beta.Empty()) row[i] += beta.Data<float>()[i];
    }
  }
  return y;
}

Reference ReferenceModulatedLayerNorm(const Tensor& x, const LayerNormParams& params) {
  Reference y = ReferenceLayerNorm(x, params.gamma, params.beta, params.eps);
  const Reference scale = Reference::Of(params.scale), shift = Reference::Of(params.shift);
  const int64_t t = x.shape[1], c = x.shape[2];
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    const auto at = static_cast<size_t>(i / (t * c) * c + i % c);
    double& value = y.v[static_cast<size_t>(i)];
    value = value * (1 + scale.v[at]) + shift.v[at];
  }
  return y;
}

Reference ReferenceRmsNorm(const Tensor& x, const Tensor& gamma, float eps) {
  Reference y = Reference::Of(x);
  const int64_t c = x.shape[-1];
  for (int64_t r = 0; r < x.NumElements() / c; ++r) {
    double* row = y.v.data() + r * c;
    double square = 0;
    for (int64_t i = 0; i < c; ++i) square += row[i] * row[i] / double(c);
    for (int64_t i = 0; i < c; ++i) {
      row[i] /= std::sqrt(square + double(eps));
      if (!gamma.Empty()) row[i] *= gamma.Data<float>()[i];
    }
  }
  return y;
}

Reference ReferenceRotate(const Tensor& x, const Tensor& tables) {
  Reference y = Reference::Of(x);
  const int64_t t = x.shape[1], heads = x.shape[2], d = x.shape[3];
  for (int64_t row = 0; row < x.NumElements() / d; ++row) {
    const float* table = tables.Data<float>() + row / heads % t * 2 * d;
    double* values = y.v.data() + row * d;
    for (int64_t i = 0; i < d; i += 2) {
      const double cosine = table[i], sine = table[d + i + 1], a = values[i], b = values[i + 1];
      values[i] = a * cosine - b * sine;
      values[i + 1] = b * cosine + a * sine;
    }
  }
  return y;
}

Reference ReferenceActivate(const Tensor& x, Act act) {
  Reference y = Reference::Of(x);
  for (double& v : y.v) v = ReferenceAct(act, v);
  return y;
}

Reference ReferenceGatedAct(const Tensor& x, Act act) {
  const Reference a = Reference::Of(x);
  Shape shape = x.shape;
  shape[-1] /= 2;
  Reference y(shape);
  const int64_t c = shape[-1];
  for (int64_t i = 0; i < shape.NumElements(); ++i) {
    const int64_t row = i / c * 2 * c;
    y.v[i] = a.v[row + i % c] * ReferenceAct(act, a.v[row + c + i % c]);
  }
  return y;
}

Reference ReferenceAdd(const Tensor& a, const Tensor& b) {
  Reference y = Reference::Of(a);
  const Reference other = Reference::Of(b);
  for (size_t i = 0; i < y.v.size(); ++i) y.v[i] += other.v[i];
  return y;
}

Reference ReferenceGatedAdd(const Tensor& x, const Tensor& gate, const Tensor& to) {
  Reference y = Reference::Of(to);
  const Reference a = Reference::Of(x), g = Reference::Of(gate);
  const int64_t t = x.shape[1], c = x.shape[2];
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    y.v[static_cast<size_t>(i)] +=
        a.v[static_cast<size_t>(i)] * g.v[static_cast<size_t>(i / (t * c) * c + i % c)];
  }
  return y;
}

Reference ReferenceUpsampleNearest(const Tensor& x, int64_t height, int64_t width) {
  const Reference a = Reference::Of(x);
  const int64_t h = x.shape[1], w = x.shape[2], c = x.shape[3];
  Reference y({x.shape[0], height, width, c});
  const auto source = [](int64_t i, int64_t in, int64_t out) {
    return std::min<int64_t>(int64_t(std::floor(float(i) * (float(in) / float(out)))), in - 1);
  };
  size_t next = 0;
  for (int64_t n = 0; n < x.shape[0]; ++n)
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < width; ++j)
        for (int64_t ch = 0; ch < c; ++ch) {
          y.v[next++] = a.v[((n * h + source(i, h, height)) * w + source(j, w, width)) * c + ch];
        }
  return y;
}

Reference ReferenceResizeBicubic(const Tensor& x, int64_t height, int64_t width) {
  const Reference a = Reference::Of(x);
  const int64_t h = x.shape[1], w = x.shape[2], c = x.shape[3];
  Reference y({x.shape[0], height, width, c});
  const auto kernel = [](double t) {
    constexpr double kA = -0.75;
    t = std::fabs(t);
    if (t <= 1) return (kA + 2) * t * t * t - (kA + 3) * t * t + 1;
    return t < 2 ? kA * t * t * t - 5 * kA * t * t + 8 * kA * t - 4 * kA : 0.0;
  };
  size_t next = 0;
  for (int64_t n = 0; n < x.shape[0]; ++n)
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < width; ++j)
        for (int64_t ch = 0; ch < c; ++ch) {
          const double at_i = (double(i) + 0.5) * double(h) / double(height) - 0.5;
          const double at_j = (double(j) + 0.5) * double(w) / double(width) - 0.5;
          double sum = 0;
          for (int64_t p = int64_t(std::floor(at_i)) - 1; p <= std::floor(at_i) + 2; ++p)
            for (int64_t q = int64_t(std::floor(at_j)) - 1; q <= std::floor(at_j) + 2; ++q) {
              const int64_t row = std::clamp<int64_t>(p, 0, h - 1);
              const int64_t column = std::clamp<int64_t>(q, 0, w - 1);
              sum += kernel(at_i - double(p)) * kernel(at_j - double(q)) *
                     a.v[((n * h + row) * w + column) * c + ch];
            }
          y.v[next++] = sum;
        }
  return y;
}

Reference ReferenceAveragePool2x2(const Tensor& x) {
  const Reference a = Reference::Of(x);
  const int64_t h = x.shape[1], w = x.shape[2], c = x.shape[3];
  Reference y({x.shape[0], (h + 1) / 2, (w + 1) / 2, c});
  size_t next = 0;
  for (int64_t n = 0; n < x.shape[0]; ++n)
    for (int64_t i = 0; i < h; i += 2)
      for (int64_t j = 0; j < w; j += 2)
        for (int64_t ch = 0; ch < c; ++ch) {
          double sum = 0;
          int count = 0;
          for (int64_t p = i; p < std::min(i + 2, h); ++p)
            for (int64_t q = j; q < std::min(j + 2, w); ++q, ++count) {
              sum += a.v[((n * h + p) * w + q) * c + ch];
            }
          y.v[next++] = sum / count;
        }
  return y;
}

}  // namespace fovea
