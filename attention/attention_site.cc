#include "attention/attention_site.h"

namespace fovea {

std::string_view Name(SiteKind kind) {
  switch (kind) {
    case SiteKind::kSelf:
      return "self";
    case SiteKind::kCross:
      return "cross";
    case SiteKind::kJoint:
      return "joint";
  }
  return "?";
}

}  // namespace fovea
