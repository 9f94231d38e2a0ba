#include "app/studio/store.h"

#include <sqlite3.h>

#include <ctime>

#include "app/studio/settings_json.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS value(name TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS picture(
  id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT UNIQUE NOT NULL, settings TEXT NOT NULL,
  created INTEGER NOT NULL, favourite INTEGER NOT NULL DEFAULT 0,
  trashed INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
  gflop REAL NOT NULL DEFAULT 0, peak_bytes INTEGER NOT NULL DEFAULT 0,
  uses TEXT NOT NULL DEFAULT '[]');
CREATE TABLE IF NOT EXISTS job(
  id INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER NOT NULL, settings TEXT NOT NULL,
  done INTEGER NOT NULL DEFAULT 0, comparison INTEGER NOT NULL DEFAULT 0,
  is_right INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS comparison(
  id INTEGER PRIMARY KEY AUTOINCREMENT, left_picture INTEGER NOT NULL,
  right_picture INTEGER NOT NULL, label TEXT NOT NULL);
)";

std::string LocalTime(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  localtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

}  // namespace

// One prepared statement; binds in order, then steps.
class Store::Statement {
 public:
  Statement(Store& store, const char* sql) : store_(store) {
    Check(sqlite3_prepare_v2(store.db_, sql, -1, &statement_, nullptr));
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& Bind(int64_t value) {
    Check(sqlite3_bind_int64(statement_, ++bound_, value));
    return *this;
  }
  Statement& Bind(double value) {
    Check(sqlite3_bind_double(statement_, ++bound_, value));
    return *this;
  }
  Statement& Bind(const std::string& text) {
    Check(sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                            SQLITE_TRANSIENT));
    return *this;
  }
  bool Step() {  // false: no more rows
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) Check(code);
    return false;
  }
  int64_t Int(int column) const { return sqlite3_column_int64(statement_, column); }
  double Real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string Text(int column) const {
    const auto* text = sqlite3_column_text(statement_, column);
    const auto bytes = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    return text == nullptr ? std::string()
                           : std::string(reinterpret_cast<const char*>(text), bytes);
  }

 private:
  void Check(int code) const {
    if (code == SQLITE_OK) return;
    throw Error(ErrorCode::kBadFile, store_.file_ + ": " + sqlite3_errmsg(store_.db_) +
                                         "; is the disk full, or another studio using it?");
  }
  Store& store_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

Store::Store(const std::filesystem::path& file) : file_(file.string()) {
  const int code = sqlite3_open(file_.c_str(), &db_);
  if (code != SQLITE_OK) {
    const std::string why = db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_);
    sqlite3_close(db_);
    throw Error(ErrorCode::kBadFile, file_ + ": " + why + "; name another folder with --data");
  }
  try {
    sqlite3_busy_timeout(db_, 2000);
    // NORMAL survives a crash of the program; a crash of the machine may lose the last moments.
    Run("PRAGMA journal_mode=WAL");
    Run("PRAGMA synchronous=NORMAL");
    Run(kSchema);
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

Store::~Store() {
  sqlite3_close(db_);
}

void Store::Run(const char* sql) {
  char* message = nullptr;
  if (sqlite3_exec(db_, sql, nullptr, nullptr, &message) == SQLITE_OK) return;
  const std::string why = message == nullptr ? "cannot be used" : message;
  sqlite3_free(message);
  throw Error(ErrorCode::kBadFile, file_ + ": " + why + "; name another folder with --data");
}

std::string Store::Value(const std::string& name, const std::string& otherwise) {
  Statement query(*this, "SELECT text FROM value WHERE name=?");
  return query.Bind(name).Step() ? query.Text(0) : otherwise;
}

void Store::SetValue(const std::string& name, const std::string& value) {
  Statement(*this, "INSERT OR REPLACE INTO value(name,text) VALUES(?,?)")
      .Bind(name)
      .Bind(value)
      .Step();
}

std::vector<PictureView> Store::Pictures() {
  std::vector<PictureView> pictures;
  Statement query(*this,
                  "SELECT id,file,settings,created,favourite,trashed,seconds,gflop,peak_bytes,uses "
                  "FROM picture ORDER BY id DESC");
  while (query.Step()) {
    PictureView& picture = pictures.emplace_back();
    picture.id = query.Int(0);
    picture.file = query.Text(1);
    picture.settings = SettingsFromText(query.Text(2));
    picture.created = LocalTime(query.Int(3));
    picture.favourite = query.Int(4) != 0;
    picture.trashed = query.Int(5) != 0;
    picture.seconds = query.Real(6);
    picture.gflop = query.Real(7);
    picture.peak_bytes = static_cast<size_t>(query.Int(8));
    picture.uses = UsesFromText(query.Text(9));
  }
  return pictures;
}

void Store::AddPicture(PictureView* picture, int64_t created) {
  const int64_t when = created != 0 ? created : static_cast<int64_t>(std::time(nullptr));
  Statement(*this,
            "INSERT INTO picture(file,settings,created,favourite,trashed,seconds,gflop,"
            "peak_bytes,uses) VALUES(?,?,?,?,?,?,?,?,?)")
      .Bind(picture->file)
      .Bind(SettingsText(picture->settings))
      .Bind(when)
      .Bind(int64_t{picture->favourite})
      .Bind(int64_t{picture->trashed})
      .Bind(picture->seconds)
      .Bind(picture->gflop)
      .Bind(static_cast<int64_t>(picture->peak_bytes))
      .Bind(UsesText(picture->uses))
      .Step();
  picture->id = sqlite3_last_insert_rowid(db_);
  picture->created = LocalTime(when);
}

void Store::SetFavourite(int64_t id, bool favourite) {
  Statement(*this, "UPDATE picture SET favourite=? WHERE id=?")
      .Bind(int64_t{favourite})
      .Bind(id)
      .Step();
}

void Store::SetTrashed(int64_t id, bool trashed) {
  Statement(*this, "UPDATE picture SET trashed=? WHERE id=?")
      .Bind(int64_t{trashed})
      .Bind(id)
      .Step();
}

void Store::RemovePicture(int64_t id) {
  Statement(*this, "DELETE FROM picture WHERE id=?").Bind(id).Step();
}

std::vector<StoredJob> Store::Jobs() {
  std::vector<StoredJob> jobs;
  Statement query(*this,
                  "SELECT id,settings,done,comparison,is_right FROM job ORDER BY position,id");
  while (query.Step()) {
    jobs.push_back({query.Int(0), SettingsFromText(query.Text(1)), static_cast<int>(query.Int(2)),
                    query.Int(3), query.Int(4) != 0});
  }
  return jobs;
}

int64_t Store::AddJob(const StoredJob& job) {
  Statement(*this,
            "INSERT INTO job(position,settings,done,comparison,is_right) VALUES("
            "(SELECT COALESCE(MAX(position),0)+1 FROM job),?,?,?,?)")
      .Bind(SettingsText(job.settings))
      .Bind(int64_t{job.done})
      .Bind(job.comparison)
      .Bind(int64_t{job.right})
      .Step();
  return sqlite3_last_insert_rowid(db_);
}

void Store::SetJobDone(int64_t id, int done) {
  Statement(*this, "UPDATE job SET done=? WHERE id=?").Bind(int64_t{done}).Bind(id).Step();
}

void Store::RemoveJob(int64_t id) {
  Statement(*this, "DELETE FROM job WHERE id=?").Bind(id).Step();
}

void Store::OrderJobs(const std::vector<int64_t>& ids) {
  Run("BEGIN");
  for (size_t i = 0; i < ids.size(); ++i) {
    Statement(*this, "UPDATE job SET position=? WHERE id=?")
        .Bind(static_cast<int64_t>(i + 1))
        .Bind(ids[i])
        .Step();
  }
  Run("COMMIT");
}

std::vector<StoredComparison> Store::Comparisons() {
  std::vector<StoredComparison> comparisons;
  Statement query(
      *this,
      "SELECT id,left_picture,right_picture,label FROM comparison ORDER BY id DESC LIMIT 50");
  while (query.Step()) {
    comparisons.push_back({query.Int(0), query.Int(1), query.Int(2), query.Text(3)});
  }
  return comparisons;
}

int64_t Store::AddComparison(const StoredComparison& comparison) {
  Statement(*this, "INSERT INTO comparison(left_picture,right_picture,label) VALUES(?,?,?)")
      .Bind(comparison.left)
      .Bind(comparison.right)
      .Bind(comparison.label)
      .Step();
  return sqlite3_last_insert_rowid(db_);
}

void Store::SetComparison(const StoredComparison& comparison) {
  Statement(*this, "UPDATE comparison SET left_picture=?,right_picture=?,label=? WHERE id=?")
      .Bind(comparison.left)
      .Bind(comparison.right)
      .Bind(comparison.label)
      .Bind(comparison.id)
      .Step();
}

void Store::RemoveComparison(int64_t id) {
  Statement(*this, "DELETE FROM comparison WHERE id=?").Bind(id).Step();
}

}  // namespace fovea
