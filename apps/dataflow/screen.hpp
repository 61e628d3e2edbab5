/// The terminal while a job runs: its own output scrolls, the progress block stays below it.
///
/// Threading: write() from any task, the rest from the thread that waits for the job. Ownership: takes the place of
/// the process's standard output while it lives.
#pragma once

#include <dataflow/util/platform.hpp>

#include <cstddef>
#include <mutex>
#include <string>

namespace dataflow::cli {

class screen final : public text_output {
public:
  /// What the two streams are.
  struct streams {
    bool out_is_terminal = false, err_is_terminal = false;
    std::size_t columns = 100, rows = 24;
    static streams of_process();
  };

  /// `to_err`: the job's printing goes to standard error, so that standard output holds nothing but JSON.
  screen(platform& world, streams kind, bool to_err);
  ~screen() override;
  screen(const screen&) = delete;
  screen& operator=(const screen&) = delete;

  /// What a job prints.
  void write(std::string_view text) override;
  /// Draws the block where the last one was. REQUIRES: standard error is a terminal.
  void show(const std::string& block);
  /// Takes the block away.
  void clear();

private:
  void erase();

  platform& world_;
  text_output* const out_;
  text_output* const err_;
  const streams kind_;
  const bool to_err_;
  std::mutex mutex_;      // guards what follows, and the order on the terminal
  std::size_t lines_ = 0; // of the block on the terminal
};

} // namespace dataflow::cli
