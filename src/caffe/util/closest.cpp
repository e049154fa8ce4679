#include "caffe/util/closest.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <utility>

namespace caffe {

namespace {

// Names come from files that may be hostile; the work is quadratic in this.
constexpr std::size_t kMaxLength = 100;

// Of the shorter name. Exp for Crop takes three edits, ReLU for Relu none.
constexpr std::size_t kLettersPerEdit = 3;

// As many candidates as a sentence can list.
constexpr std::size_t kFew = 12;

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Edit distance in which swapping two neighbours is one edit, each pair being
// edited once (optimal string alignment).
std::size_t Distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string ClosestName(const std::string& name,
                        const std::vector<std::string>& candidates) {
  const std::string wanted = name.substr(0, kMaxLength);
  const std::string* best = nullptr;
  std::pair<std::size_t, std::size_t> best_score;
  for (const std::string& candidate : candidates) {
    const std::string other = candidate.substr(0, kMaxLength);
    const std::size_t edits = Distance(Lower(wanted), Lower(other));
    if (kLettersPerEdit * edits > std::min(wanted.size(), other.size())) continue;
    const std::pair score(edits, Distance(wanted, other));
    if (best == nullptr || score < best_score) {
      best = &candidate;
      best_score = score;
    }
  }
  return best == nullptr ? std::string() : *best;
}

std::string Suggestion(const std::string& name,
                       const std::vector<std::string>& candidates) {
  const std::string closest = ClosestName(name, candidates);
  if (!closest.empty()) return "; the closest is '" + closest + "'";
  if (candidates.empty() || candidates.size() > kFew) return "";
  std::string list;
  for (const std::string& candidate : candidates) {
    list += (list.empty() ? "'" : ", '") + candidate + "'";
  }
  return (candidates.size() == 1 ? "; there is only " : "; there are ") + list;
}

}  // namespace caffe
