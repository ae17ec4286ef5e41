// What a run's page gets for a request, from a folder's files.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <optional>
#include <vector>

#include "common/files/file_descriptor.h"
#include "common/keys/key_file.h"
#include "server/view/pictures.h"
#include "server/view/run_events.h"
#include "tests/support/run_page.h"
#include "tests/support/some_evaluation.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

namespace fs = std::filesystem;

TEST_CASE("A request outside of the page's routes finds nothing") {
  const TemporaryDirectory run;
  fs::create_directories(run.path() / "samples");
  write_text(run.path() / "config.ini", "key = secret\n");
  write_text(run.path() / "samples" / "000001.png", "a picture");
  write_text(run.path() / "samples" / "notes.png", "no picture");
  fs::create_symlink("../config.ini", run.path() / "samples" / "000002.png");
  fs::create_directory(run.path() / "samples" / "000003.png");
  RunView view(run.path());
  for (const char* const path : {"",
                                 "*",
                                 "//",
                                 "/index.html",
                                 "/config.ini",
                                 "/samples",
                                 "/samples/",
                                 "/samples/../config.ini",
                                 "/samples/%2e%2e/config.ini",
                                 "/samples//etc/passwd",
                                 "/samples/notes.png",
                                 "/samples/000002.png",
                                 "/samples/000003.png",
                                 "/samples/1.png",
                                 "/samples/-00001.png",
                                 "/samples/99999999999999999999999.png",
                                 "/api",
                                 "/api/",
                                 "/api/status/",
                                 "/metrics/"}) {
    INFO(path);
    CHECK(view.answer(get(path), kNow).status == 404);
  }
  CHECK(
      view.answer(get(std::string("/samples/000001.png\0", 20)), kNow).status ==
      404);
  const HttpResponse found = view.answer(get("/samples/000001.png"), kNow);
  CHECK(found.status == 200);
  CHECK(found.body == "a picture");
  CHECK(found.content_type == "image/png");
  CHECK_FALSE(found.etag.empty());
}

TEST_CASE("An empty folder and a damaged one have a page") {
  const TemporaryDirectory run;
  RunView view(run.path());
  CHECK(has(sentence(view), "has no status.json"));
  CHECK(body(view.answer(get("/api/samples"), kNow))["total"] == 0);
  CHECK(body(view.answer(get("/api/events"), kNow))["events"].empty());
  CHECK(body(view.answer(get("/api/series"), kNow))["stats"]["rounds"].empty());

  const std::string garbage =
      "\n{}\n[1,2\n{\"round\":-1}\n{\"round\":\"x\"}\n\"round\"\n\xff\xfe{\n"
      "{\"round\":1,\"d_loss\":1e999}\n{\"round\":2,\"d_loss\":null}\n"
      "{\"round\":3,\"A B\\\"<\":1,\"\":2}\n" +
      std::string(100'000, '[') + "\n" + std::string(100'000, '{') + "\n" +
      std::string(LineTail::kMostLine + 10, 'x') + "\n{\"round\":4,\"" +
      std::string(100, 'n') + "\":1}\n{\"round\":5,\"d_loss\":7}\n{\"rou";
  write_text(run.path() / "stats.jsonl", garbage);
  write_text(run.path() / "events.jsonl", garbage);
  write_text(run.path() / "metric-fid10k.jsonl", garbage);
  write_text(run.path() / "status.json", garbage);
  CHECK(has(sentence(view), "is damaged"));
  CHECK(body(view.answer(get("/api/events"), kNow))["total"] == 0);
  const auto series = body(view.answer(get("/api/series"), kNow));
  CHECK(series["stats"]["rounds"].back() == 5);
  CHECK(series["stats"]["curves"]["d_loss"]["mean"].back() == 7);
  CHECK(series["metrics"].contains("fid10k"));
  CHECK(view.answer(get("/metrics"), kNow).status == 200);
}

TEST_CASE("A peer's name reaches the page as text, whatever it is") {
  const TemporaryDirectory run;
  const std::string name = "<script>\"\\\n\xff\xe2\x80\xae__proto__";
  write_status(run.path(), name);
  write_text(run.path() / "events.jsonl",
             R"({"time":1,"round":5,"event":"late","peer":"<i>","text":"x"})"
             "\n"
             R"({"time":2,"round":6,"event":"lost","peer":"<i>","text":"y"})"
             "\n");
  RunView view(run.path());
  const auto status = body(view.answer(get("/api/status"), kNow));
  CHECK(status["status"]["round"] == 120);
  CHECK(
      has(status["status"]["peers"][0]["name"].get<std::string>(), "<script>"));
  CHECK(status["troubles"][0][0] == "<i>");
  CHECK(status["troubles"][0][1]["late"] == 1);
  CHECK(status["troubles"][0][1]["lost"] == 1);
  CHECK(status["troubles"][0][1]["fault"]["text"] == "y");
  CHECK_FALSE(has(view.answer(get("/metrics"), kNow).body, "script"));
}

TEST_CASE("Curves are thinned to min, max and mean of equal parts") {
  Series series;
  for (std::uint64_t i = 1; i <= 10'000; ++i)
    series.add(stats_line(10 * i, i % 100 == 50 ? 1000 : 1));
  const auto json = nlohmann::json::parse(series.thinned_json(100));
  const auto& loss = json["curves"]["d_loss"];
  REQUIRE(json["rounds"].size() == 100);
  CHECK(json["rounds"][0] == 1000);
  CHECK(json["rounds"][99] == 100'000);
  for (std::size_t i = 0; i < 100; ++i) {
    CHECK(loss["min"][i] == 1);
    CHECK(loss["max"][i] == 1000);
    CHECK(loss["mean"][i].get<double>() == Approx(10.99).margin(.01));
  }
  CHECK(json["curves"]["seconds.wait"]["mean"][7] == 0.5);
  CHECK(json["curves"]["rounds"]["mean"][7] == 10);
  CHECK(series.sum("bytes_sent") == 1'000'000);
  CHECK(series.sum_over_rounds("seconds.wait") == 50'000);
  CHECK(series.last("d_loss") == 1);
  CHECK_FALSE(series.last("none"));

  const auto all = nlohmann::json::parse(series.thinned_json(20'000));
  CHECK(all["rounds"].size() == 10'000);
  CHECK_FALSE(all["curves"]["d_loss"].contains("min"));
}

TEST_CASE("A value that comes now and then is null elsewhere") {
  Series series;
  for (std::uint64_t i = 1; i <= 6; ++i)
    series.add(i == 4 ? std::string(R"({"round":4,"metrics":{"fid":9}})")
                      : R"({"round":)" + std::to_string(i) + "}");
  const auto fid = nlohmann::json::parse(
      series.thinned_json(6))["curves"]["metrics.fid"]["mean"];
  CHECK(fid == nlohmann::json::parse("[null,null,null,9,null,null]"));
  CHECK(series.last("metrics.fid") == 9);
}

TEST_CASE("A long run's curves stay bounded and keep their extremes") {
  Series series;
  const std::uint64_t lines = 2 * Series::kMostRows + 1;
  for (std::uint64_t i = 1; i <= lines; ++i)
    series.add(R"({"round":)" + std::to_string(i) + R"(,"d_loss":)" +
               (i == 777 ? "5}" : "1}"));
  CHECK(series.lines() == lines);
  CHECK(series.sum("d_loss") == static_cast<double>(lines + 4));
  const auto json = nlohmann::json::parse(series.thinned_json(800));
  CHECK(json["rounds"].size() == 800);
  CHECK(json["rounds"].back() == lines);
  double highest = 0;
  for (const auto& value : json["curves"]["d_loss"]["max"])
    highest = std::max(highest, value.get<double>());
  CHECK(highest == 5);
}

TEST_CASE("Files that grow are read on, files that were cut anew") {
  const TemporaryDirectory run;
  const fs::path file = run.path() / "stats.jsonl";
  RunView view(run.path());
  const auto rounds = [&] {
    const auto json = body(view.answer(get("/api/series"), kNow));
    return json["stats"]["rounds"].get<std::vector<std::uint64_t>>();
  };
  using Rounds = std::vector<std::uint64_t>;
  write_text(file, stats_line(10, 1) + stats_line(20, 1) + R"({"round":3)");
  CHECK(rounds() == Rounds{10, 20});
  const std::string etag = view.answer(get("/api/series"), kNow).etag;
  CHECK(view.answer(get("/api/series"), kNow).etag == etag);
  HttpRequest again = get("/api/series");
  again.if_none_match = etag;
  CHECK(view.answer(again, kNow).body.empty());

  const auto append = [&](const std::string& text) {
    write_text(file, read_text(file) + text);  // the same file
  };
  append("0}\n" + stats_line(40, 1));
  CHECK(rounds() == Rounds{10, 20, 30, 40});
  CHECK(view.answer(get("/api/series"), kNow).etag != etag);

  SECTION("cut to fewer lines") {
    write_text(file, stats_line(10, 1));
    CHECK(rounds() == Rounds{10});
  }
  SECTION("cut and longer than before when it is read again") {
    write_text(file, stats_line(10, 1) + stats_line(21, 1) + stats_line(31, 1) +
                         stats_line(41, 1) + stats_line(51, 1));
    CHECK(rounds() == Rounds{10, 21, 31, 41, 51});
  }
  SECTION("replaced by a file with the same lines and another") {
    write_text(run.path() / "new", read_text(file) + stats_line(50, 1));
    fs::rename(run.path() / "new", file);
    CHECK(rounds() == Rounds{10, 20, 30, 40, 50});
  }
  SECTION("gone, and back") {
    fs::remove(file);
    CHECK(rounds().empty());
    write_text(file, stats_line(10, 1));
    CHECK(rounds() == Rounds{10});
  }
  SECTION("no longer a file") {
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK(rounds().empty());
  }
}

TEST_CASE(
    "The number of points and of events is what was asked for, in bounds") {
  const TemporaryDirectory run;
  std::string stats;
  std::string events =
      R"({"time":1,"round":0,"event":"swap","from":[3,7],"to":[7,3]})"
      "\n";
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    stats += stats_line(i, 1);
    events += R"({"time":1,"round":)" + std::to_string(i) +
              R"(,"event":"checkpoint"})" + "\n";
  }
  write_text(run.path() / "stats.jsonl", stats);
  write_text(run.path() / "events.jsonl", events);
  RunView view(run.path());
  const auto points = [&](const std::string& query) {
    return body(view.answer(get("/api/series", query), kNow))["stats"]["rounds"]
        .size();
  };
  CHECK(points("") == Series::kMostPoints);
  CHECK(points("points=100") == 100);
  CHECK(points("a=b&points=7&") == 7);
  CHECK(points("points=0") == 1);
  CHECK(points("points=-5") == Series::kMostPoints);
  CHECK(points("points=99999999999999999999999") == Series::kMostPoints);
  CHECK(points("points") == Series::kMostPoints);
  CHECK(points("points=1e3") == Series::kMostPoints);
  const auto newest = body(view.answer(get("/api/events", "limit=3"), kNow));
  CHECK(newest["total"] == 2001);
  CHECK(newest["counts"]["checkpoint"] == 2000);
  REQUIRE(newest["events"].size() == 3);
  CHECK(newest["events"][0]["round"] == 2000);
  // It is not among those that are kept.
  CHECK(newest["last_swap"]["to"] == nlohmann::json::array({7, 3}));
  CHECK(body(view.answer(get("/api/events", "limit=99999"), kNow))["events"]
            .size() == RunEvents::kMostKept);
}

TEST_CASE("Pictures are listed by round, evenly where they are many") {
  const TemporaryDirectory run;
  const fs::path samples = run.path() / "samples";
  fs::create_directories(samples);
  for (int i = 0; i < 1500; ++i) {
    char name[16];
    std::snprintf(name, sizeof name, "%06d.png", 10 * i);
    write_text(samples / name, "");
  }
  write_text(samples / "000001.png.tmp", "");
  RunView view(run.path());
  const auto json = body(view.answer(get("/api/samples"), kNow));
  CHECK(json["total"] == 1500);
  REQUIRE(json["pictures"].size() == kMostPictures);
  CHECK(json["pictures"].front()["round"] == 0);
  CHECK(json["pictures"].back()["round"] == 14'990);
  CHECK(json["pictures"].back()["file"] == "014990.png");
}

TEST_CASE("/metrics tells a run's numbers in Prometheus' format") {
  const TemporaryDirectory run;
  write_status(run.path(), "hospital-a");
  write_text(run.path() / "stats.jsonl",
             stats_line(50, 1.5) + stats_line(100, 1.25));
  write_text(run.path() / "events.jsonl",
             R"({"time":1,"round":5,"event":"swap","text":"x"})"
             "\n"
             R"({"time":1,"round":5,"event":"made up","text":"x"})"
             "\n");
  EvaluationRecord measured = some_evaluation(100);
  measured.frechet_distance = 41.5;
  REQUIRE(keep_evaluation(run.path(), measured).ok());
  RunView view(run.path());
  const HttpResponse response = view.answer(get("/metrics"), kNow);
  CHECK(response.content_type == "text/plain; version=0.0.4; charset=utf-8");
  const std::string& text = response.body;
  for (const char* const line :
       {"mdgan_state{state=\"training\"} 1\n", "mdgan_round 120\n",
        "mdgan_peers{state=\"live\"} 1\n", "mdgan_peers{state=\"absent\"} 0\n",
        "mdgan_loss{network=\"discriminator\"} 1.25\n",
        "mdgan_phase_seconds_total{phase=\"wait\"} 50\n",
        "mdgan_bytes_total{direction=\"sent\"} 200\n",
        "mdgan_answer_seconds_bucket{le=\"0.5\"} 3\n",
        "mdgan_answer_seconds_bucket{le=\"30\"} 3\n",
        "mdgan_answer_seconds_bucket{le=\"+Inf\"} 4\n",
        "mdgan_answer_seconds_sum 41.5\n", "mdgan_answer_seconds_count 4\n",
        "mdgan_swaps_total{result=\"done\"} 1\n",
        "mdgan_swaps_total{result=\"aborted\"} 0\n",
        "mdgan_frechet_inception_distance{metric=\"fid10k\"} 41.5\n"}) {
    INFO(line);
    CHECK(has(text, line));
  }
  CHECK_FALSE(has(text, "made up"));
  CHECK_FALSE(has(text, "hospital-a"));
}

TEST_CASE("A server that is killed or hangs is not ready") {
  const TemporaryDirectory run;
  write_status(run.path(), "a");
  RunView view(run.path());
  const auto probe = [&](const char* path, double now) {
    return view.answer(get(path), now).status;
  };
  // Nobody has the lock: fresh, it may be another machine's.
  CHECK(probe("/readyz", kNow + 1) == 200);
  CHECK(probe("/readyz", kNow + 60) == 503);
  CHECK(probe("/healthz", kNow + 60) == 200);
  // A server has it, and has written nothing for two minutes.
  write_text(run.path() / "lock", "1\n");
  const FileDescriptor lock(::open((run.path() / "lock").c_str(), O_RDWR));
  REQUIRE(::flock(lock.get(), LOCK_EX) == 0);
  CHECK(probe("/healthz", kNow + 119) == 200);
  CHECK(probe("/healthz", kNow + 121) == 503);
  CHECK(probe("/readyz", kNow + 121) == 503);
}

TEST_CASE("An event of very many fields is left out, and costs no time") {
  RunEvents events;
  std::string line = R"({"event":"fault","text":"x")";
  for (int i = 0; i < 100'000; ++i) line += ",\"k" + std::to_string(i) + "\":0";
  events.add(line + "}");
  events.add(R"({"event":"fault","text":"y"})");
  CHECK(events.count("fault") == 1);
}

TEST_CASE("Without a status the run is said to be down") {
  const TemporaryDirectory run;
  RunView view(run.path());
  CHECK(has(view.answer(get("/metrics"), kNow).body, "mdgan_up 0\n"));
}

}  // namespace mdgan::test
