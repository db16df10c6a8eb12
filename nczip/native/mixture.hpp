// The online mixture of one level: models of the next bit, mixed and refined.
// predict() gives the probability of a 1 in units of 2^-24; update() tells the bit, and everything learns.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>

#include "apm.hpp"
#include "array.hpp"
#include "cdf.hpp"
#include "counters.hpp"
#include "hash_slots.hpp"
#include "levels.hpp"
#include "match.hpp"
#include "mixer.hpp"
#include "ssm.hpp"
#include "structure.hpp"
#include "sureness.hpp"

namespace ncz::inline NCZ_ISA {

// Every single byte, in order: the vocabulary of the online SSM.
struct ByteVocabulary {
  constexpr ByteVocabulary() {
    for (uint32_t i = 0; i <= 256; ++i) bytes[i] = static_cast<uint8_t>(i), begin[i] = i;
  }
  uint8_t bytes[257] = {};
  uint32_t begin[257] = {};
};
inline constexpr ByteVocabulary kByteStrings;
inline constexpr Vocabulary kBytes{kByteStrings.bytes, kByteStrings.begin, 256};

// What a language model says of the next bit.
struct Opinion {
  float p;    // of a 1
  int depth;  // bytes of the token so far
};

// A large value on the heap that is copied with what holds it.
template <typename T>
class Boxed {
 public:
  explicit Boxed(int argument) : value_(std::make_unique<T>(argument)) {}
  Boxed(const Boxed& other) : value_(std::make_unique<T>(*other.value_)) {}
  T* operator->() { return value_.get(); }

 private:
  std::unique_ptr<T> value_;
};
struct Nothing {
  Nothing() = default;
  explicit Nothing(int) {}
};

template <int kLevel>
class Mixture {
  using P = Parts<kLevel>;
  static constexpr bool kLanguage = kLevel >= 8;
  static constexpr int kBase = kLanguage ? kLevel - 3 : kLevel;  // the level whose contexts and knowledge it shares

  // Models in the order of the mixer's inputs; then the bias.
  static constexpr int kHashed = P::hashed;
  static constexpr int kOrder0 = kHashed, kOrder1 = kOrder0 + 1, kPixel = kOrder1 + 1;
  static constexpr int kHistoried = kPixel + P::pixels;  // the models so far keep bit histories
  static constexpr int kDirect = kHistoried;
  static constexpr int kMatch = kDirect + P::direct;
  static constexpr int kSsm = kMatch + P::matches;
  static constexpr int kBias = kSsm + P::ssm;
  static constexpr int kModel = kBias + 1;  // what a language model says, in the logistic domain and as it is
  static constexpr int kInputs = (kBias + (kLanguage ? 2 : 0) + kLanes) / kLanes * kLanes;
  static_assert(P::apms > 0 || kBias < 8);

  static constexpr uint32_t kLimit = 1023;  // of the counters
  static constexpr float kRateDecay = 0.99998f;  // of the mixer's learning rate, a bit
  static constexpr float kBinaryRate = 2.0f;     // times that rate in binary data without regular records
  static constexpr float kLeast = 4.0f;          // least probability given to the coder, in 2^-24
  static constexpr bool kTwoLayers = P::apms > 0;
  static constexpr bool kAll = P::hashed >= 40;  // binary contexts, with what a match expects and with rows
  using Mixer = std::conditional_t<kTwoLayers, TwoLayerMixer<kInputs, P::sets>, OneLayerMixer<P::sets>>;

 public:
  // history: where the block's bytes stand once they are known; it must outlive the mixture.
  // knowledge: what every block starts with, Core::knowledge_size bytes. start: bytes of the history that count as known
  // without having been read. base: where their strings stand, or null; it must outlive the mixture.
  Mixture(const uint8_t* history, size_t raw_size, int table_bits, const uint8_t* knowledge, size_t start = 0,
          const BaseIndex* base = nullptr)
      : past_(history, kAll, start),
        base_(base),
        slots_(slot_bytes(raw_size, table_bits), reinterpret_cast<const BitHistory*>(knowledge)),
        order1_(size_t{1} << 16),
        pixels_(size_t{P::pixels} << kPixelBits),
        ssm_(row_bits(raw_size, table_bits)),
        mixer_(P::selectors, InitialWeights{knowledge + kWeightsAt}) {
    for (int i = 0; i < P::matches; ++i) matches_[i].start(P::match_length[i], match_bits(raw_size, table_bits));
    for (auto& counters : direct_) counters = Array<Counter>(size_t{1} << direct_bits(raw_size, table_bits), Counter{});
    for (Apm& apm : apms_) apm.start(apm_bits(raw_size));
    direct_shift_ = 32 - direct_bits(raw_size, table_bits);
    begin_byte();
  }

  // A copy that goes on from the end of a byte with a history of its own, which begins with the same bytes.
  Mixture(const Mixture& other, const uint8_t* history) : Mixture(other) {
    past_.history = history;
    for (int i = 0; i < kHashed; ++i) state_[i] = slot_[i] = slots_.moved(other.slots_, other.slot_[i]);
    find_direct();
    if constexpr (P::ssm) walk_.emplace(kBytes, sums_);
  }

  // Where the weights of this level's mixer stand in the knowledge, and where they end; 2 bytes each.
  static constexpr size_t kWeights = [] {
    size_t vectors = 0;
    for (int values : P::selectors) vectors += static_cast<size_t>(values);
    return vectors * kInputs + Mixer::kFinal;
  }();
  static constexpr size_t kWeightsAt = [] {
    if constexpr (kLanguage)
      return Mixture<kBase>::kWeightsAt;
    else if constexpr (kLevel == 4)
      return HashSlots::kKnownLines * HashSlots::kLine;
    else
      return Mixture<kLevel - 1>::kWeightsEnd;
  }();
  static constexpr size_t kWeightsEnd = kWeightsAt + 2 * kWeights;
  // The mixer's weights now, kWeights of them: what `make prior` makes knowledge of.
  void weights(float* out) const { mixer_.weights(out); }

  // Bytes of memory for a block beyond its input and output.
  static size_t memory(size_t raw_size, int table_bits) {
    constexpr size_t kSmall = size_t{1} << 19;  // bytes: order 1, what the structure keeps
    size_t weights = 0;
    for (int values : P::selectors) weights += sizeof(float) * kInputs * static_cast<size_t>(values);
    const size_t slots = slot_bytes(raw_size, table_bits);
    const size_t matches = (P::matches * sizeof(uint32_t)) << match_bits(raw_size, table_bits);
    const size_t direct = (P::direct * sizeof(Counter)) << direct_bits(raw_size, table_bits);
    const size_t apms = P::apms * Apm::memory(apm_bits(raw_size));
    const size_t pixels = size_t{P::pixels} << kPixelBits;
    const size_t ssm = P::ssm ? Ssm::memory(row_bits(raw_size, table_bits)) : 0;
    return slots + matches + direct + apms + pixels + weights + ssm + sizeof(Mixture) + kSmall;
  }

  // model: what a language model says, at the levels that have one.
  uint32_t predict(Opinion model = {0.5f, 0}) {
    float unmixed[kInputs] = {};
    float* x = unmixed;
    if constexpr (kInputs > kLanes) x = mixer_.inputs();
    for (int i = 0; i < kHistoried; ++i) {
      const BitHistory history = *state_[i];
      counter_[i] = &maps_[i].counter[static_cast<uint8_t>(history)];
      x[i] = history == BitHistory{} && P::structure ? 0.0f : kStretch.of(counter_[i]->p22());
    }
    for (int i = 0; i < P::direct; ++i) {
      direct_counter_[i] = &direct_[i][bit_hash(i) >> direct_shift_];
      x[kDirect + i] = kStretch.of(direct_counter_[i]->p22());
    }
    for (int i = 0; i < P::matches; ++i)
      x[kMatch + i] = matches_[i].expect(partial_, bit_index_) < 0 ? 0.0f : kStretch.of(matches_[i].p22());
    if constexpr (P::ssm) x[kSsm] = kStretch.of(static_cast<uint32_t>((uint64_t{walk_->one()} << 22) / walk_->total()));
    x[kBias] = 0.5f;
    if constexpr (kLanguage) {
      x[kModel] = logistic(model.p, kSurest);
      x[kModel + 1] = (model.p - 0.5f) * 4.0f;
    }

    int selected[P::sets];
    select(selected);
    if constexpr (kLanguage) {
      const int sure = sureness(x[kModel]);
      selected[P::sets - 2] = sure << 3 | bit_index_;
      selected[P::sets - 1] = sure << 3 | (model.depth < 7 ? model.depth : 7);
    }
    float stretched;
    if constexpr (kTwoLayers) {
      const MatchModel& longest = matches_[0];
      const int sure = longest.expected_bit() < 0 ? 0 : longest.length() < 16 ? 1 : longest.length() < 64 ? 2 : 3;
      if constexpr (kInputs == kLanes) mixer_.take(gather16(unmixed));
      stretched = mixer_.mix(selected, sure << 3 | bit_index_);
      mixed_ = squash(stretched);
    } else {
      stretched = mixer_.mix(gather8(unmixed), selected);
      mixed_ = kSquash.of(stretched);
    }
    return static_cast<uint32_t>(clamp(refine(stretched) * 0x1p24f, kLeast, 0x1p24f - kLeast));
  }

  void update(int bit) {
    const float rate = past_.binary && !past_.regular && !past_.raster ? rate_ * kBinaryRate : rate_;
    if constexpr (kTwoLayers)
      mixer_.update(bit, mixed_, rate, P::final_rate);
    else
      mixer_.update(bit, mixed_, rate);
    rate_ = P::rate_end + (rate_ - P::rate_end) * kRateDecay;
    for (Apm& apm : apms_) apm.update(bit);
    learn(bit);
  }
  // A bit that needed no prediction: the models learn it, the mixer does not.
  void pass(int bit) {
    for (int i = 0; i < kHistoried; ++i) counter_[i] = &maps_[i].counter[static_cast<uint8_t>(*state_[i])];
    for (int i = 0; i < P::direct; ++i) direct_counter_[i] = &direct_[i][bit_hash(i) >> direct_shift_];
    for (MatchModel& match : matches_) match.expect(partial_, bit_index_);
    learn(bit);
  }

 private:
  void learn(int bit) {
    for (int i = 0; i < kHistoried; ++i) {
      counter_[i]->update(bit, kLimit);
      *state_[i] = kHistories.after(*state_[i], bit);
    }
    for (int i = 0; i < P::direct; ++i) direct_counter_[i]->update(bit, kLimit);
    for (MatchModel& match : matches_) match.update(bit);
    if constexpr (P::ssm) walk_->take(bit);

    partial_ = partial_ * 2 + static_cast<uint32_t>(bit);
    if (++bit_index_ == 8) {
      if constexpr (P::ssm) ssm_->update(static_cast<uint8_t>(partial_));
      past_.advance(P::structure);
      begin_byte();
    } else if (bit_index_ == 4) {
      for (int i = 0; i < kHashed; ++i) hash_[i] = hash_step(hash_[i], partial_);
      find_slots();
      find_direct();
    } else {
      if (bit_index_ == 3) prefetch_low_nibble();
      const uint32_t seen = static_cast<uint32_t>(bit_index_) & 3;  // bits of this nibble
      const uint32_t node = (1u << seen) - 1 + (partial_ & ((1u << seen) - 1));
      for (int i = 0; i < kHashed; ++i) state_[i] = slot_[i] + node;
      find_direct();
    }
  }

 public:
  // The byte position that the longest match expects to repeat, if it has lasted long enough to be followed blindly.
  std::optional<size_t> sure_match(uint32_t least) const {
    if (matches_[0].length() < least) return std::nullopt;
    return matches_[0].pointer();
  }
  // `count` bytes became known that were just what the longest match expected: only what is cheap learns from them.
  void skip(size_t count) {
    for (size_t i = 0; i < count; ++i) past_.advance(false);
    matches_[0].skip(count);
    for (int i = 1; i < P::matches; ++i) matches_[i].drop();
    begin_byte();
  }

  size_t position() const { return past_.pos; }
  uint32_t word() const { return past_.word; }  // hash of the letters of the word so far

 private:
  template <int kOther>
  friend class Mixture;
  Mixture(const Mixture&) = default;

  // The mixer's weights at the start, in units of 2^-12. A level with a language model has those of its base, which count
  // for less: the model speaks too.
  struct InitialWeights {
    const uint8_t* known;  // those of the level, or of its base

    int operator[](size_t i) const {
      if constexpr (!kLanguage) {
        return base(i);
      } else {
        using Base = Mixture<kBase>;
        constexpr size_t kBaseVectors = (Base::kWeights - Base::Mixer::kFinal) / Base::kInputs;
        constexpr size_t kVectors = (kWeights - Mixer::kFinal) / kInputs;
        const size_t vector = i / kInputs, input = i % kInputs;
        if (vector < kVectors) {
          if (input == kModel) return kModelWeight;
          return vector < kBaseVectors && input <= kBias ? base(vector * Base::kInputs + input) / kBaseShare : 0;
        }
        const size_t final = i - kVectors * kInputs, set = final % kLanes;
        if (set < Parts<kBase>::sets) return base(kBaseVectors * Base::kInputs + final);
        return set < P::sets ? kNewSetWeight : 0;
      }
    }
    int base(size_t i) const {
      int16_t weight;
      std::memcpy(&weight, known + 2 * i, 2);
      return weight;
    }
  };
  static constexpr int kBaseShare = 5;
  static constexpr int kModelWeight = 3686, kNewSetWeight = 410;  // 0.9 and 0.1, in 2^-12
  static constexpr float kSurest = 0x1p-22f;  // probability beyond which a language model's opinion is cut

  static int bits_for(size_t raw_size, int least, int most) {
    int bits = least;
    while (bits < most && size_t{1} << bits < raw_size) ++bits;
    return bits;
  }
  // Tables grow with the block, up to ceilings that shrink with that of the hash table: one number bounds them all.
  static int match_bits(size_t raw_size, int table_bits) {
    return bits_for(raw_size, 12, std::clamp(table_bits - 6, 12, P::match_bits));
  }
  static int direct_bits(size_t raw_size, int table_bits) {
    return bits_for(raw_size * 4, 14, std::clamp(table_bits - 8, 14, 22));
  }
  static int row_bits(size_t raw_size, int table_bits) {
    return std::min(Ssm::row_bits(raw_size), std::clamp(table_bits - 13, 12, 17));
  }
  static int apm_bits(size_t raw_size) { return bits_for(raw_size / 16, 10, P::apm_bits); }
  static size_t slot_bytes(size_t raw_size, int table_bits) {
    int bits = std::min(20, table_bits);
    while (bits < table_bits && (size_t{1} << bits) / P::slot_share < raw_size) ++bits;
    return size_t{1} << bits;
  }

  void begin_byte() {
    partial_ = 1;
    bit_index_ = 0;
    if constexpr (kAll) {
      update_matches();
      const MatchModel* match = &matches_[0];
      while (match != &matches_[P::matches - 1] && !match->length()) ++match;
      past_.expected = match->expected_byte();
      past_.expected_for = match->bucket();
    }
    byte_contexts<kBase>(past_, hash_);
    for (int i = 0; i < kHashed; ++i) slots_.prefetch(hash_[i]);
    if constexpr (!kAll) update_matches();  // while the lines come
    if constexpr (P::direct > 0) direct_contexts(past_, direct_hash_);
    order1_hash_ = hash_of(past_.back(1));
    order2_hash_ = hash_step(order1_hash_, past_.back(2));
    order3_hash_ = hash_step(order2_hash_, past_.back(3));
    find_slots();
    find_direct();
    if constexpr (P::ssm) {
      ssm_->predict(sums_);
      walk_.emplace(kBytes, sums_);
    }
  }
  void update_matches() {
    if (past_.pos > 0)
      for (MatchModel& match : matches_)
        match.update_byte(past_.history, past_.pos, past_.binary, &match == &matches_[0] ? base_ : nullptr);
  }
  void prefetch_low_nibble() const {  // both lines that the next bit can lead to
    for (int i = 0; i < kHashed; ++i)
      for (uint32_t bit = 0; bit < 2; ++bit) slots_.prefetch(hash_step(hash_[i], partial_ * 2 + bit));
  }
  void find_slots() {
    for (int i = 0; i < P::known; ++i) state_[i] = slot_[i] = slots_.template find<true>(hash_[i]);
    for (int i = P::known; i < kHashed; ++i) state_[i] = slot_[i] = slots_.template find<false>(hash_[i]);
  }
  void find_direct() {
    state_[kOrder0] = order0_ + partial_;
    state_[kOrder1] = order1_.data() + (past_.back(1) << 8 | partial_);
    if constexpr (P::pixels > 0) {
      uint32_t context[4];
      pixel_contexts(past_, partial_, bit_index_, P::pixels, context);
      pixel_ = context[0];
      if constexpr (P::direct > 0)
        if (past_.raster) raster_contexts(Neighbourhood(past_, partial_, bit_index_, 5), direct_hash_);
      for (int i = 0; i < P::pixels; ++i)
        state_[kPixel + i] = pixels_.data() + (static_cast<size_t>(i) << kPixelBits) + context[i];
    }
  }

  // The hash of a direct context with the bits of this byte.
  uint32_t bit_hash(int i) const { return past_.raster ? direct_hash_[i] : hash_step(direct_hash_[i], partial_); }

  void select(int* selected) const {
    const int partial = static_cast<int>(partial_);
    // A set of 2^12 weight vectors holds those of text, and those of other data behind them.
    const auto other = [](uint32_t value) { return static_cast<int>(1u << 11 | (value & ((1u << 11) - 1))); };
    const auto expected = [&](const MatchModel& match) {
      return match.expected_bit() < 0 ? 0 : static_cast<int>(match.bucket()) * 2 + match.expected_bit();
    };
    selected[0] = partial;
    selected[1] = expected(matches_[0]) << 3 | bit_index_;
    if constexpr (P::sets > 2) {
      const int c1 = static_cast<int>(past_.back(1)), c2 = static_cast<int>(past_.back(2));
      const int c3 = static_cast<int>(past_.back(3));
      const int matching = matches_[1].expected_bit() < 0 ? 0 : matches_[0].expected_bit() < 0 ? 1 : 2;
      int known = 0;
      for (int i = 0; i < kShared; ++i) known += *state_[i] != BitHistory{};
      selected[2] = matching << 8 | c1;
      selected[3] = c2 << 3 | bit_index_;
      selected[4] = known << 8 | partial;
      selected[5] = (c3 >> 5) << 8 | (c1 >> 5) << 5 | (c2 >> 5) << 2 | bit_index_ >> 1;
      if (past_.raster) {
        const Neighbourhood n(past_, partial_, bit_index_, 3);
        selected[3] = other((n.left & 7) | n.around(1, 2, 2) << 3 | n.around(2, 1, 1) << 8);
        selected[5] = other((n.left & 3) | n.around(1, 1, 1) << 2 | n.around(2, 1, 1) << 5 | n.around(3, 1, 1) << 8);
      }
    }
    if constexpr (kBase == 6) {
      const uint32_t bit_index = static_cast<uint32_t>(bit_index_), record = past_.record ? past_.record : 4;
      if (past_.raster) {
        selected[6] = other(pixel_ >> 3);
        selected[7] = other(pixel_);
        selected[8] = other(past_.back(record) << 3 | bit_index);
        return;
      }
      if (past_.binary) {
        uint32_t zeros = 0;
        for (size_t i = 1; i <= 6; ++i) zeros = zeros << 1 | (past_.back(i) == 0);
        selected[6] = other(static_cast<uint32_t>(past_.pos % record) << 3 | bit_index);
        selected[7] = other(past_.back(record) << 3 | bit_index);
        selected[8] = other(zeros << 5 | static_cast<uint32_t>(past_.pos & 3) << 3 | bit_index);
        return;
      }
      selected[6] = static_cast<int>(past_.classes & 255) << 3 | bit_index_;
      selected[7] = static_cast<int>(past_.word >> 24) << 3 | bit_index_;
      selected[8] = static_cast<int>(past_.open & 255) << 3 | bit_index_;
    }
  }

  // The final probability: the mixer's, averaged with its refinements in contexts of one, two and three bytes; in
  // binary data of the expected byte instead of three, on a bitmap of the bits around.
  float refine(float stretched) {
    if constexpr (P::apms == 0) {
      return mixed_;
    } else {
      const float by1 = apms_[0].refine(stretched, hash_step(order1_hash_, partial_));
      if (past_.raster) {
        if constexpr (P::apms == 2) {
          return (mixed_ * 2.0f + by1 + apms_[1].refine(stretched, hash_of(pixel_))) * 0.25f;
        } else {
          const float wide = apms_[1].refine(stretched, direct_hash_[1]);
          const float long_left = apms_[P::apms - 1].refine(stretched, direct_hash_[0]);
          return mixed_ * 0.5f + (by1 + wide + long_left) * (1.0f / 6.0f);
        }
      }
      const float by2 = apms_[1].refine(stretched, hash_step(order2_hash_, partial_));
      if constexpr (P::apms == 2) return mixed_ * 0.25f + by1 * 0.25f + by2 * 0.5f;
      if (past_.binary) {
        const float by_match = apms_[P::apms - 1].refine(stretched, hash_of(past_.expected, partial_));
        return mixed_ * 0.4f + (by1 + by2 + by_match) * 0.2f;
      }
      const float by3 = apms_[P::apms - 1].refine(stretched, hash_step(order3_hash_, partial_));
      const float others = (by1 + by2 + by3) * (1.0f / 3.0f);
      return kLanguage ? mixed_ * 0.6f + others * 0.4f : (mixed_ + by1 + by2 + by3) * 0.25f;
    }
  }

  Structure past_;
  const BaseIndex* base_;
  HashSlots slots_;
  std::array<HistoryMap, kHistoried> maps_;
  BitHistory order0_[256] = {};
  Array<BitHistory> order1_, pixels_;
  std::array<Array<Counter>, P::direct> direct_;
  std::array<MatchModel, P::matches> matches_;
  std::conditional_t<P::ssm, Boxed<Ssm>, Nothing> ssm_;
  uint32_t sums_[257];
  std::conditional_t<P::ssm, std::optional<Walk<const uint32_t*>>, Nothing> walk_;
  Mixer mixer_;
  std::array<Apm, P::apms> apms_;

  // For the bit to come: where each model keeps what it knows.
  uint32_t hash_[kHashed] = {};
  BitHistory* slot_[kHashed] = {};
  BitHistory* state_[kHistoried] = {};
  Counter* counter_[kHistoried] = {};
  uint32_t direct_hash_[P::direct + 1] = {};
  Counter* direct_counter_[P::direct + 1] = {};
  int direct_shift_ = 0;

  uint32_t partial_ = 1;  // the bits of this byte under a leading 1
  int bit_index_ = 0;
  uint32_t pixel_ = 0;  // the first of the pixel contexts
  uint32_t order1_hash_ = 0, order2_hash_ = 0, order3_hash_ = 0;
  float mixed_ = 0.5f, rate_ = P::rate_start;
};

}  // namespace ncz::inline NCZ_ISA
