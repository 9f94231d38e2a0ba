#include "pipelines/inspect/inspect.h"

#include <algorithm>

#include "pipelines/maps/concept_maps.h"
#include "pipelines/maps/prompt_words.h"
#include "pipelines/maps/self_maps.h"
#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/text_model.h"
#include "tensor/error.h"
#include "tensor/precision.h"

namespace fovea {
namespace {

constexpr int kComponents = 3;

bool Has(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::string Listed(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& each : list) text += (text.empty() ? "" : ", ") + each;
  return text;
}

// `serves`: whether a kind of map is about a site.
template <class Serves>
void CheckSelection(const InspectRequest& request, const std::vector<AttentionSite>& sites,
                    const std::string& kind, const Serves& serves) {
  bool any_layer = false, any_head = false, any = false;
  for (const AttentionSite& site : sites) {
    if (!serves(site)) continue;
    any = true;
    if (!request.selection.HasLayer(site.path)) continue;
    any_layer = true;
    for (int head = 0; head < site.heads; ++head) {
      any_head = any_head || request.selection.HasHead(head);
    }
  }
  if (!any) {
    throw Error(ErrorCode::kUnsupported,
                "--maps: " + kind + " needs a kind of attention layer that this model has not");
  }
  if (!any_layer) {
    throw Error(ErrorCode::kUnsupported, "--layers: matches no layer that " + kind +
                                             " is made of; fovea info MODEL --layers lists them");
  }
  if (!any_head) {
    throw Error(ErrorCode::kUnsupported, "--heads: none of them is in the layers of " + kind);
  }
}

bool IsImageSite(const AttentionSite& site) {
  return site.kind != SiteKind::kCross && GridOfLayout(site.tokens) != nullptr;
}

QueryRows::Query QueryOn(const InspectRequest& request, int rows, int columns) {
  if (!request.query) return {rows / 2, columns / 2, rows, columns};
  const auto [row, column] = *request.query;
  if (row >= rows || column >= columns) {
    throw Error(ErrorCode::kUsage, "--query: " + std::to_string(row) + "," +
                                       std::to_string(column) + " is outside of the grid of " +
                                       std::to_string(rows) + " x " + std::to_string(columns) +
                                       " tokens");
  }
  return {row, column, rows, columns};
}

// The finest grid of a model's sites at the size of `settings`.
std::pair<int, int> FinestGrid(const PipelineFacts& facts, const GenerateSettings& settings) {
  int rows = 1, columns = 1;
  for (const AttentionSite& site : facts.sites) {
    const Segment* grid = GridOfLayout(site.tokens);
    if (grid == nullptr) continue;
    rows = std::max(rows, grid->grid[1]);
    columns = std::max(columns, grid->grid[2]);
  }
  return {std::max(1, rows * settings.height / facts.height),
          std::max(1, columns * settings.width / facts.width)};
}

// What --words names, or the words of the prompt.
std::vector<std::string> ConceptsOf(const TextToImage& pipeline, const GenerateSettings& settings,
                                    const InspectRequest& request) {
  std::vector<std::string> concepts = request.words;
  if (!concepts.empty()) return concepts;
  for (const PromptWord& word : WordsOf(pipeline.ReadPrompt(settings, settings.prompt))) {
    concepts.push_back(word.text);
  }
  return concepts;
}

void Append(std::vector<AttentionMap> more, std::vector<AttentionMap>* maps) {
  maps->insert(maps->end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<std::string> DiffusionMapKinds() {
  return {"words", "concepts", "rows", "self", "segments", "entropy"};
}

std::vector<std::string> VitMapKinds() {
  return {"cls", "rollout", "relevance", "chefer", "rows", "entropy"};
}

void CheckMapKinds(const std::vector<std::string>& kinds, const std::vector<std::string>& of_model,
                   const std::vector<std::string>& of_others) {
  for (const std::string& kind : kinds) {
    if (Has(of_model, kind)) continue;
    if (Has(of_others, kind)) {
      throw Error(ErrorCode::kUnsupported, "--maps: " + kind +
                                               " is for another sort of model; of "
                                               "this one there are " +
                                               Listed(of_model));
    }
    throw Error(ErrorCode::kUsage,
                "--maps: there is no kind \"" + kind + "\"; there are " + Listed(of_model));
  }
}

Inspection InspectRun(TextToImage& pipeline, const GenerateSettings& settings,
                      const GenerateInputs& inputs, const InspectRequest& request,
                      const GenerateHooks& hooks, Generated* generated) {
  const PipelineFacts facts = pipeline.Facts();
  const MapSelection& selection = request.selection;
  std::vector<PromptWord> words;
  std::vector<int> prompt;
  if (Has(request.kinds, "words")) {
    const PromptReading reading = pipeline.ReadPrompt(settings, settings.prompt);
    words = request.words.empty() ? WordsOf(reading) : std::vector<PromptWord>{};
    GenerateSettings plain = settings;
    plain.prompt_weights = "off";
    for (const std::string& word : request.words) {
      words.push_back(IsSpecialWord(word)
                          ? SpecialWord(reading, word)
                          : FindWord(reading, word, pipeline.ReadPrompt(plain, word)));
    }
    if (words.empty()) throw Error(ErrorCode::kUsage, "--maps: words needs a prompt with words");
    for (const PromptReading::Token& token : reading.tokens) {
      prompt.insert(prompt.end(), token.positions.begin(), token.positions.end());
    }
  }
  for (const std::string& kind : request.kinds) {
    CheckSelection(request, facts.sites, kind, [&](const AttentionSite& site) {
      if (kind == "concepts") return site.kind == SiteKind::kJoint;
      return kind == "words" ? site.kind != SiteKind::kSelf : IsImageSite(site);
    });
  }
  const auto [rows, columns] = FinestGrid(facts, settings);
  WordMaps word_maps(words, prompt, request.among_words, selection);
  QueryRows query_rows(QueryOn(request, rows, columns), selection);
  EntropyMaps entropy(selection);
  // Segments are of one step, as published: timestep 300 of 1000, unless steps are chosen.
  MapSelection late = selection;
  if (late.steps.empty()) {
    const double step = static_cast<int>(0.7 * (settings.steps - 1) + 0.5);
    late.steps = {StepRange{step, step, false}};
  }
  SelfCollector self(late);

  GenerateHooks watched = hooks;
  const auto listen = [&](bool wanted, AttentionListener* listener) {
    if (wanted) watched.listeners.push_back(listener);
  };
  listen(Has(request.kinds, "words"), &word_maps);
  listen(Has(request.kinds, "rows"), &query_rows);
  listen(Has(request.kinds, "entropy"), &entropy);
  listen(Has(request.kinds, "self") || Has(request.kinds, "segments"), &self);
  StepStore steps;
  const bool wants_concepts = Has(request.kinds, "concepts");
  if (wants_concepts) {
    watched.on_step = [&](const StepView& view) {
      if (selection.HasStep(view.step, view.steps)) steps.Keep(view);
      if (hooks.on_step) hooks.on_step(view);
    };
  }
  *generated = pipeline.Run(settings, inputs, watched);
  Inspection result;
  result.cancelled = generated->cancelled;
  if (result.cancelled) return result;
  ImageStreamKeeper keeper;
  const std::vector<std::string> concepts = ConceptsOf(pipeline, settings, request);
  ConceptReader reader(concepts, keeper, selection);
  for (int step = 0; wants_concepts && step < generated->calls; ++step) {
    const StoredStep* stored = steps.Find(step);
    if (stored == nullptr) continue;
    if (!pipeline.ReadConcepts(settings, inputs, *stored, concepts, keeper, reader, hooks)) {
      result.cancelled = true;
      return result;
    }
  }
  for (const std::string& kind : request.kinds) {
    const bool empty = kind == "words"      ? word_maps.Empty()
                       : kind == "rows"     ? query_rows.Empty()
                       : kind == "entropy"  ? entropy.Empty()
                       : kind == "concepts" ? reader.Empty()
                                            : self.Empty();
    if (empty) {
      throw Error(ErrorCode::kUnsupported, "--maps: no layer and step of this run was left for " +
                                               kind + "; widen --layers or --steps");
    }
    if (kind == "words") Append(word_maps.Finish(), &result.maps);
    if (kind == "rows") Append(query_rows.Finish(), &result.maps);
    if (kind == "entropy") Append(entropy.Finish(), &result.maps);
    if (kind == "concepts") Append(reader.Finish(), &result.maps);
    if (kind == "segments") {
      const SelfAttention all = self.Finish();
      const double usual = std::min(0.9, 0.9 * static_cast<double>(all.Tokens()) / 4096);
      const HeatMap map = Segments(all, {.threshold = request.segment_threshold.value_or(usual)});
      result.maps.push_back({"segments", "", -1, -1, "", map});
    }
    if (kind == "self") {
      int number = 0;
      for (HeatMap& map : Components(self.Finish(), kComponents)) {
        result.maps.push_back(
            {"self", "", -1, -1, "component " + std::to_string(++number), std::move(map), true});
      }
    }
  }
  if (Has(request.kinds, "words")) result.shares = word_maps.Shares();
  result.entropy = entropy.Rows();
  return result;
}

std::vector<RelevanceTarget> FindTargets(const ModelFolder& folder, PictureModel& model,
                                         Backend& backend, const std::vector<std::string>& labels,
                                         const ForwardOptions& options) {
  const VitConfig& vit = model.Network().Vit()->Traits();
  std::vector<RelevanceTarget> targets;
  if (vit.head == VitHead::kClipProjection && !labels.empty()) {
    const ComponentFolder& component = FindTextComponent(folder);
    const auto text = TextModel::Load(component, FindTextTokenizer(folder, component), backend);
    ForwardOptions plain;
    plain.stop = options.stop;
    for (const std::string& label : labels) {
      bool cut = false;
      const HostTensor vector = text->Embed(label, plain, &cut);
      if (options.stop.stop_requested()) return {};
      if (cut) {
        throw Error(ErrorCode::kUsage,
                    "--label: the text is too long for the model's text encoder");
      }
      const float* values = vector.Data<float>();
      targets.push_back({label, 0, {values, values + vector.NumElements()}});
    }
  } else {
    CheckTarget(vit, {});
    for (const std::string& label : labels) {
      const ClassScore found = model.FindClass(label, "--label");
      targets.push_back({found.label, found.index, {}});
    }
  }
  for (const RelevanceTarget& target : targets) CheckTarget(vit, target);
  return targets;
}

Inspection InspectPicture(PictureModel& model, Backend& backend, const Image& picture,
                          const InspectRequest& request, const ForwardOptions& options) {
  const std::vector<AttentionSite> sites = model.AttentionSites();
  for (const std::string& kind : request.kinds) CheckSelection(request, sites, kind, IsImageSite);
  // The grid is the picture's, which only the pass tells.
  struct First final : AttentionListener {
    void Attended(Context&, const AttentionCall& call) override {
      if (grid.length == 0) grid = *GridOfLayout(call.spec.q);
    }
    Segment grid;
  } first;
  LayerKeeper kept;
  EntropyMaps entropy(request.selection);
  ForwardOptions watched = options;
  watched.listeners = {&first, &kept};
  if (Has(request.kinds, "entropy")) watched.listeners.push_back(&entropy);
  // chefer has a pass of its own, in f32.
  const bool others = std::any_of(request.kinds.begin(), request.kinds.end(),
                                  [](const std::string& kind) { return kind != "chefer"; });
  if (others) model.Embed(picture, watched);
  Inspection result;
  if (options.stop.stop_requested()) {
    result.cancelled = true;
    return result;
  }
  Arena arena(backend, size_t{16} << 20);
  Context ctx = MakeContext(backend, arena, options.stop, options.dtype);
  for (const std::string& kind : request.kinds) {
    if (kind == "cls") Append(ClassMaps(ctx, kept, request.selection), &result.maps);
    if (kind == "rollout") {
      result.maps.push_back(RolloutMap(ctx, kept, request.selection, request.rollout));
    }
    if (kind == "chefer") {
      std::vector<RelevanceTarget> targets = request.targets;
      if (targets.empty()) {
        CheckTarget(model.Network().Vit()->Traits(), {});
        ForwardOptions plain = options;
        plain.dtype = DType::kF32;
        const ClassScore answer = model.Classify(picture, 1, plain).front();
        targets.push_back({answer.label, answer.index, {}});
      }
      Append(GradientMaps(model.Network(), backend, model.Inputs(picture), targets,
                          request.selection, options),
             &result.maps);
    }
    if (kind == "relevance") {
      result.maps.push_back(RelevanceMap(ctx, kept, request.selection));
    }
    if (kind == "entropy") Append(entropy.Finish(), &result.maps);
    if (kind == "rows") {
      QueryRows rows(QueryOn(request, first.grid.grid[1], first.grid.grid[2]), request.selection);
      for (const auto& layer : kept.Layers()) layer->Replay(ctx, rows);
      Append(rows.Finish(), &result.maps);
    }
  }
  result.cancelled = options.stop.stop_requested();
  result.entropy = entropy.Rows();
  return result;
}

}  // namespace fovea
