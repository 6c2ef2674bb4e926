// Cursor lives tests: where the next life may begin.
#include "nemesis/engine/cursor_lives.hpp"

#include <doctest/doctest.h>

namespace zabmq::nemesis {
namespace {

// A first life that began at 1, acknowledged up to 20, and had 10 confirmed.
CursorLives one_life() {
  CursorLives lives;
  lives.begin();
  CHECK_FALSE(lives.starts_at(1));
  lives.acknowledged(10);
  lives.confirmed(10);
  lives.acknowledged(20);
  lives.confirmed(std::nullopt);
  lives.begin();
  CHECK_FALSE(lives.started());
  return lives;
}

}  // namespace

TEST_CASE("cursor lives: above what was confirmed, up to behind what was acknowledged") {
  for (const Offset first : {Offset{11}, Offset{15}, Offset{21}}) {
    CursorLives lives = one_life();
    CHECK_FALSE(lives.starts_at(first));
    CHECK(lives.resumes() == 1);
  }
}

TEST_CASE("cursor lives: what was confirmed comes again, or what nobody acknowledged is passed") {
  for (const Offset first : {Offset{1}, Offset{10}, Offset{22}}) {
    CAPTURE(first);
    CursorLives lives = one_life();
    CHECK(lives.starts_at(first));
  }
  CursorLives lives = one_life();
  CHECK(*lives.starts_at(10) ==
        "began at offset 10, where 10 was confirmed, and nothing above 20 acknowledged");
}

TEST_CASE("cursor lives: told of a gap first -> above what was acknowledged, not below") {
  for (const Offset first : {Offset{10}, Offset{500}}) {
    CursorLives lives = one_life();
    lives.overtaken();
    CHECK(lives.starts_at(first).has_value() == (first == 10));
    lives.begin();
    CHECK(lives.starts_at(first + 1).has_value() == (first == 500));
  }
}

TEST_CASE("cursor lives: nothing was ever confirmed -> anywhere") {
  CursorLives lives;
  lives.begin();
  CHECK_FALSE(lives.starts_at(500));
  lives.acknowledged(600);
  lives.begin();
  CHECK_FALSE(lives.starts_at(500));
  CHECK(lives.resumes() == 0);
}

TEST_CASE("cursor lives: what an earlier life had acknowledged counts in all later ones") {
  CursorLives lives = one_life();
  CHECK_FALSE(lives.starts_at(21));
  lives.begin();
  CHECK_FALSE(lives.starts_at(21));
  lives.begin();
  CHECK(lives.starts_at(23));
}

}  // namespace zabmq::nemesis
