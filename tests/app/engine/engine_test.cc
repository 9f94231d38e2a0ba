// The engine without a window: tasks in, events out, pictures to whoever asked for them.
#include "app/engine/engine.h"

#include <catch2/catch.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

PictureTask Small(int64_t job, PictureSink sink) {
  PictureTask task;
  task.job = job;
  task.settings.prompt = "a red cube";
  task.settings.width = task.settings.height = 64;
  task.settings.steps = 2;
  task.settings.seed = 3;
  task.sink = std::move(sink);
  return task;
}

// The event that ends a task, and waits for it.
EngineEvent Ended(Inbox<EngineEvent>& events) {
  for (;;) {
    for (EngineEvent& event : events.Take()) {
      if (std::holds_alternative<EngineFinished>(event)) return std::move(event);
      if (std::holds_alternative<EngineFailed>(event)) return std::move(event);
    }
  }
}

}  // namespace

TEST_CASE("engine: hands a picture to the task's sink before it tells of it") {
  Inbox<EngineEvent> events;
  Engine engine({}, [&](EngineEvent event) { events.Post(std::move(event)); });
  Image stored;
  engine.Post(Small(7, [&](const Generated& generated) {
    stored = generated.images.front();
    return std::string("in memory");
  }));
  const EngineEvent event = Ended(events);
  REQUIRE(std::holds_alternative<EngineFinished>(event));
  const auto& finished = std::get<EngineFinished>(event);
  CHECK(finished.job == 7);
  CHECK(finished.file == "in memory");
  CHECK(stored.width == 64);
  CHECK(stored.rgb == finished.image->rgb);
}

TEST_CASE("engine: a sink that fails fails its task, and the next one runs") {
  Inbox<EngineEvent> events;
  Engine engine({}, [&](EngineEvent event) { events.Post(std::move(event)); });
  engine.Post(Small(1, [](const Generated&) -> std::string {
    throw Error(ErrorCode::kBadFile, "pictures: the disk is full");
  }));
  const EngineEvent failed = Ended(events);
  REQUIRE(std::holds_alternative<EngineFailed>(failed));
  CHECK(std::get<EngineFailed>(failed).problem == "pictures: the disk is full");
  CHECK_FALSE(std::get<EngineFailed>(failed).cancelled);
  engine.Post(Small(2, [](const Generated&) { return std::string("kept"); }));
  const EngineEvent finished = Ended(events);
  REQUIRE(std::holds_alternative<EngineFinished>(finished));
  CHECK(std::get<EngineFinished>(finished).file == "kept");
}

}  // namespace fovea
