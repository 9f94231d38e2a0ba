// One operation on all lanes: registers read as numbers, a function of them written back.
#pragma once

#include <cstring>
#include <type_traits>

#include "tests/ptx/machine.h"

namespace fovea::ptx {

// 8- and 16-bit numbers lie in 32-bit registers, zero-extended.
template <class T>
using Stored = std::conditional_t<(sizeof(T) < 4), uint32_t, T>;

template <class T>
Stored<T> ToStored(T x) {
  if constexpr (sizeof(T) < 4) {
    return static_cast<std::make_unsigned_t<T>>(x);
  } else {
    return x;
  }
}

template <class F, class D, class... S, size_t... I>
void MapLanes(Warp& w, const Instr& in, uint32_t lanes, std::index_sequence<I...>) {
  constexpr F f{};
  Stored<D>* const to = w.Reg<Stored<D>>(in.d[0]);
  if (lanes == kAllLanes) {
    Stored<D> result[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      result[lane] =
          ToStored<D>(static_cast<D>(f(static_cast<S>(w.Reg<Stored<S>>(in.s[I])[lane])...)));
    }
    std::memcpy(to, result, sizeof result);
  } else {
    ForLanes(lanes, [&](int lane) {
      to[lane] = ToStored<D>(static_cast<D>(f(static_cast<S>(w.Reg<Stored<S>>(in.s[I])[lane])...)));
    });
  }
}

template <class F, class D, class... S>
void Map(Warp& w, const Instr& in, uint32_t lanes) {
  MapLanes<F, D, S...>(w, in, lanes, std::index_sequence_for<S...>{});
}

}  // namespace fovea::ptx
