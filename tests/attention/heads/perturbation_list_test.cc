// Lists of perturbed heads: what they mean on U-Nets and transformers, and what is refused.
#include "attention/heads/perturbation_list.h"

#include <cmath>

#include <catch2/catch.hpp>

#include "tests/support/error_code.h"

namespace fovea {
namespace {

std::vector<AttentionSite> Sites(const std::vector<std::pair<std::string, SiteKind>>& paths,
                                 int heads) {
  std::vector<AttentionSite> sites;
  for (const auto& [path, kind] : paths) {
    sites.push_back({path, static_cast<int>(sites.size()), kind, heads, 8, GridLayout(4, 4)});
  }
  return sites;
}

// Two modules down, of which the second has two blocks; one in the middle; one that only crosses
// and one more up.
std::vector<AttentionSite> UNetSites() {
  std::vector<std::pair<std::string, SiteKind>> paths;
  const auto block = [&](const std::string& path, SiteKind first) {
    paths.emplace_back(path + ".attn1", first);
    paths.emplace_back(path + ".attn2", SiteKind::kCross);
  };
  block("down_blocks.1.attentions.0.transformer_blocks.0", SiteKind::kSelf);
  block("down_blocks.1.attentions.1.transformer_blocks.0", SiteKind::kSelf);
  block("down_blocks.1.attentions.1.transformer_blocks.1", SiteKind::kSelf);
  block("mid_block.attentions.0.transformer_blocks.0", SiteKind::kSelf);
  block("up_blocks.0.attentions.0.transformer_blocks.0", SiteKind::kCross);
  block("up_blocks.1.attentions.0.transformer_blocks.0", SiteKind::kSelf);
  return Sites(paths, 4);
}

// As SD3.5: 20 blocks, the first two with a second attention.
std::vector<AttentionSite> DitSites() {
  std::vector<std::pair<std::string, SiteKind>> paths;
  for (int i = 0; i < 20; ++i) {
    const std::string block = "transformer_blocks." + std::to_string(i);
    paths.emplace_back(block + ".attn", SiteKind::kJoint);
    if (i < 2) paths.emplace_back(block + ".attn2", SiteKind::kSelf);
  }
  return Sites(paths, 4);
}

std::vector<AttentionSite> FluxSites() {
  return Sites({{"transformer_blocks.0.attn", SiteKind::kJoint},
                {"transformer_blocks.1.attn", SiteKind::kJoint},
                {"single_transformer_blocks.0.attn", SiteKind::kJoint},
                {"single_transformer_blocks.1.attn", SiteKind::kJoint}},
               4);
}

// "SITE", "SITE.H,H" or either with "@STRENGTH", for each.
std::string Resolved(const std::string& list, const std::vector<AttentionSite>& sites) {
  std::string text;
  for (const HeadPerturbation& each : PerturbList::Parse(list).Resolve(sites)) {
    text += (text.empty() ? "" : " ") + std::to_string(each.site);
    for (size_t i = 0; i < each.heads.size(); ++i) {
      text += (i == 0 ? "." : ",") + std::to_string(each.heads[i]);
    }
    if (each.strength != 1) text += "@" + std::to_string(each.strength).substr(0, 4);
  }
  return text;
}

ErrorCode CodeOfList(const std::string& list, const std::vector<AttentionSite>& sites) {
  return CodeOf([&] { PerturbList::Parse(list).Resolve(sites); });
}

}  // namespace

TEST_CASE("layers of a transformer are exact indices of its blocks") {
  const auto sites = DitSites();
  CHECK(Resolved("3", sites) == "5");
  CHECK(Resolved("1", sites) == "2");  // not 10 to 19, and not the second attention
  CHECK(Resolved("3-5", sites) == "5 6 7");
  CHECK(Resolved("3.2,4.[0,2-3]@0.5", sites) == "5.2 6.0,2,3@0.50");
  CHECK(Resolved("3.*", sites) == "5");
  CHECK(PerturbList::Parse("*").Resolve(sites).size() == 22);
  CHECK(Resolved("3@0,4", sites) == "6");        // strength 0 is nothing
  CHECK(Resolved("1,2", FluxSites()) == "1 2");  // single blocks go on counting
}

TEST_CASE("layers of a U-Net are attention modules in order, and their blocks") {
  const auto sites = UNetSites();
  CHECK(Resolved("d0", sites) == "0");
  CHECK(Resolved("d1", sites) == "2 4");
  CHECK(Resolved("d1/1.[0,2]", sites) == "4.0,2");
  CHECK(Resolved("m0", sites) == "6");
  CHECK(Resolved("u1.3@0.25", sites) == "10.3@0.25");
  CHECK(Resolved("*", sites) == "0 2 4 6 10");
}

TEST_CASE("what matches nothing says so") {
  const auto unet = UNetSites(), dit = DitSites();
  for (const char* bad : {"d2", "m1", "u2", "d1/2", "3", "u0", "d0.4", "d0.[0-4]"}) {
    CAPTURE(bad);
    CHECK(CodeOfList(bad, unet) == ErrorCode::kUnsupported);
  }
  for (const char* bad : {"20", "18-20", "m0", "d0", "3.4", "*.9"}) {
    CAPTURE(bad);
    CHECK(CodeOfList(bad, dit) == ErrorCode::kUnsupported);
  }
  const auto message = [&](const std::string& list, const std::vector<AttentionSite>& sites) {
    try {
      PerturbList::Parse(list).Resolve(sites);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message("d2", unet).find("d0-d1, m0, u0-u1") != std::string::npos);
  CHECK(message("20", dit).find("0-19") != std::string::npos);
  CHECK(message("u0", unet).find("cross-attention") != std::string::npos);
  CHECK(message("3.7@0.5", dit).find("heads 0-3") != std::string::npos);
}

TEST_CASE("malformed items are refused by name") {
  for (const char* bad :
       {"x",  "1.",     "1..2",  "1.[",   "1.[]",  "1.[1", "1.[1,]", "1.[2-1]",     "5-3",
        "1@", "1@2",    "1@-1",  "1@nan", "1@inf", "1 2",  "1,",     ",1",          "1,,2",
        "d",  "d-1",    "d1/",   "m0/x",  "1/2",   "-1",   "1.-2",   "99999999999", "1.99999999999",
        "*1", "1.[1]]", "1.2.3", "L1",    "[1]"}) {
    CAPTURE(bad);
    CHECK(CodeOf([&] { PerturbList::Parse(bad); }) == ErrorCode::kUsage);
  }
}

TEST_CASE("a list is read over lines, with comments, and written in one") {
  const PerturbList list = PerturbList::Parse("# found\n 11.15@0.5, 13.[3-7]\n\n9 # whole\r\n");
  CHECK(list.Text() == "11.15@0.5,13.[3-7],9");
  CHECK(PerturbList::Parse(list.Text()).Text() == list.Text());
  CHECK(PerturbList::Parse("u4/1.[0,2],d3,*.1").Text() == "u4/1.[0,2],d3,*.1");
  CHECK(PerturbList::Parse("  ").Empty());
  CHECK(PerturbList::Parse("").Text().empty());
  CHECK(PerturbList::Parse("1@0.1").Text() == "1@0.1");
}

TEST_CASE("kinds and scopes are read exactly") {
  CHECK(ParsePerturbKind("skip").skip);
  CHECK(ParsePerturbKind("identity").kind == PerturbKind::kIdentity);
  CHECK(ParsePerturbKind("uniform").kind == PerturbKind::kUniform);
  CHECK(ParsePerturbKind("zero").kind == PerturbKind::kZero);
  CHECK(ParsePerturbKind("meanq").kind == PerturbKind::kMeanQuery);
  CHECK(ParsePerturbKind("blur:2.5").sigma == 2.5);
  CHECK(std::isinf(ParsePerturbKind("blur:inf").sigma));
  CHECK(ParsePerturbKind("op:window(grid=2x2)").op.Text() == "window(grid=2x2)");
  CHECK(ParsePerturbScope("img-renorm") == PerturbScope::kImageRenorm);
  for (const char* bad : {"", "Identity", "blur", "blur:", "blur:0", "blur:-1", "blur:nan",
                          "blur:1x", "op:", "op:(", "skip "}) {
    CAPTURE(bad);
    CHECK(CodeOf([&] { ParsePerturbKind(bad); }) == ErrorCode::kUsage);
  }
  CHECK(CodeOf([&] { ParsePerturbScope("image"); }) == ErrorCode::kUsage);
}

}  // namespace fovea
