#ifndef KARAT_CKERNELS_H
#define KARAT_CKERNELS_H

#include "CKernelTypes.h"

// SIMD kernels on contiguous row-major memory. Every operation is written once, on vectors of the
// width of an instruction set (kernels/*.h), and compiled once for each instruction set
// (baseline.c, avx2.c, avx512.c); only the integer matrix product is written anew for each.
// A kernel works on one tile in one thread; the caller splits the work.

#pragma clang assume_nonnull begin

/// The operations of one instruction set.
typedef struct karat_kernels {
  karat_instruction_set instruction_set;

  // Rows of floats.
  void (*rms_norm)(
    const float *x, size_t rows, size_t features, const float *weight, float epsilon, float *out);
  /// (x - mean) / sqrt(variance + epsilon) * weight + bias.
  void (*layer_norm)(
    const float *x, size_t rows, size_t features, const float *weight, const float *bias,
    float epsilon, float *out);
  /// x, out [positions, heads, head_size]; cosines, sines [positions, pairs]. out may be x.
  void (*rope)(
    const karat_rotation *rotation, const float *x, size_t positions, const float *cosines,
    const float *sines, float *out);
  void (*swiglu)(const float *gate, const float *up, size_t count, float *out);
  void (*add)(const float *a, const float *b, size_t count, float *out);
  void (*activate)(karat_activation activation, const float *x, size_t count, float *out);
  /// e^x, relative error below 2e-7.
  void (*exponential)(const float *x, size_t count, float *out);

  // Mixtures of experts.
  /// For each row of logits [rows, experts] the experts of greatest score plus bias, the first of
  /// equals, in falling order: weights (without the bias) and indices [rows, chosen]. Scores that are
  /// NaN rank last. scratch holds 2 experts + groups floats.
  void (*route)(
    const karat_routing *routing, const float *logits, const float *_Nullable bias, size_t rows,
    float *weights, int32_t *indices, float *scratch);
  /// out [features] = sum of weights[i] * rows[i], added in order, of at least one row.
  void (*weighted_sum)(
    const float *_Nonnull const *_Nonnull rows, const float *weights, size_t count,
    size_t features, float *out);

  /// out[r, o] = x[r] . weight[o] + bias[o] for at most 4 rows; out rows lie `stride` apart.
  void (*linear_few_rows)(
    const float *x, size_t rows, size_t inputs, const float *weight, size_t outputs,
    const float *_Nullable bias, float *out, size_t stride);

  /// The same for many rows and at most 96 outputs; `scratch` holds `linear_scratch` floats.
  void (*linear_tile)(
    const float *x, size_t rows, size_t inputs, const float *weight, size_t outputs,
    const float *_Nullable bias, float *out, size_t stride, float *scratch);
  size_t (*linear_scratch)(size_t rows, size_t outputs);

  // Attention.
  /// Packs up to 64 keys [count, head_size] as [head_size, 64], zeros beyond count.
  void (*pack_keys)(
    const float *keys, size_t count, size_t stride, size_t head_size, float *packed);
  /// Packs up to 64 values [count, value_size] as [64, value_size rounded up to 16], zeros beyond.
  void (*pack_values)(
    const float *values, size_t count, size_t stride, size_t value_size, float *packed);
  /// Floats of scratch that `attention_tile` needs for this many queries.
  size_t (*attention_scratch)(const karat_attention *attention, size_t queries);
  /// Queries [first, first + count) of all heads of one group. q and out stand at the group's first
  /// head of query 0; packed_keys and packed_values hold all blocks of 64, one after the other.
  void (*attention_tile)(
    const karat_attention *attention, const float *q, size_t first, size_t count,
    const float *packed_keys, const float *packed_values, float *out, float *scratch);
  /// The same for one query on keys and values as they lie; scratch holds `keys` floats.
  void (*attention_row)(
    const karat_attention *attention, const float *q, size_t query, const float *keys,
    const float *values, float *out, float *scratch);

  // Integers.
  void (*quantize)(
    const float *x, size_t count, float scale, uint8_t zero_point, uint8_t *out);
  void (*quantize_row)(const float *x, size_t count, float scale, float limit, int8_t *out);
  void (*dequantize_row)(const int8_t *codes, size_t count, float scale, float *out);
  /// out = scale * (code - zero_point).
  void (*dequantize)(
    const uint8_t *codes, size_t count, float scale, uint8_t zero_point, float *out);
  /// Rows [row, row + rows) by panels [panel, panel + panels) as float32 [rows, outputs].
  void (*integer_linear)(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    float *out);
  /// The same, the accumulators themselves.
  void (*integer_accumulate)(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    int32_t *out);

  // Statistics.
  karat_logit_comparison (*compare_logits)(
    const float *reference, const float *candidate, size_t count);
  double (*log_sum_exp)(const float *x, size_t count);
  size_t (*argmax)(const float *x, size_t count);
  karat_extremes (*extremes)(const float *x, size_t count);
  float (*absolute_maximum)(const float *x, size_t count);
  /// maxima[c] = max(maxima[c], |x[r, c]|) for `columns` columns of rows `stride` apart.
  void (*column_absolute_maxima)(
    const float *x, size_t rows, size_t columns, size_t stride, float *maxima);
  void (*histogram)(
    const float *x, size_t count, float lower, float upper, size_t bins, uint64_t *into);
  double (*squared_difference)(const float *a, const float *b, size_t count);

  // Casts.
  void (*to_float32)(const void *source, karat_float_format format, size_t count, float *out);
  /// F16, BF16, F8_E4M3 and F8_E5M2 only.
  void (*from_float32)(const float *x, karat_float_format format, size_t count, void *out);
  /// Doubles, not aligned, to floats: to nearest, or to odd so that a second rounding is right.
  void (*from_float64)(const void *source, size_t count, bool to_odd, float *out);
  /// Numbers of one row from column `first` on, times the scale of each block of columns.
  void (*scale_blocks)(
      float *x, size_t first, size_t count, const float *scales, size_t block);

  // Bytes.
  /// CRC-32C of `count` more bytes, given that of those before them; 0 for none before.
  uint32_t (*crc32c)(uint32_t checksum, const void *bytes, size_t count);
  /// Cuts `count` elements of `width` 2, 4 or 8 bytes into planes [width, count], that of the lowest
  /// bytes first. Width 1 cuts an even count of bytes into planes [2, count / 2] of half bytes, the
  /// low halves first, two elements in a byte, the first of them in the low half. `rotated` rotates
  /// elements left by one bit before.
  void (*split_planes)(
    const void *elements, size_t count, size_t width, bool rotated, uint8_t *planes);
  /// The inverse, from planes that lie anywhere.
  void (*merge_planes)(
    const uint8_t *_Nonnull const *_Nonnull planes, size_t count, size_t width, bool rotated,
    void *elements);
  /// out = a ^ b; out may be a or b.
  void (*exclusive_or)(const void *a, const void *b, size_t count, void *out);

  // Blocks; bytes need not be aligned.
  void (*decode_blocks)(const void *source, karat_block_type type, size_t count, float *out);
  /// Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 only; false where elements or a scale are not finite in the
  /// block.
  bool (*encode_blocks)(const float *x, karat_block_type type, size_t count, void *out);

  // Gradients add to their targets; a null target is left out.
  /// x, gradient, to_x [rows, features]; to_weight, to_bias [features].
  void (*rms_norm_gradient)(
    const float *x, size_t rows, size_t features, const float *weight, float epsilon,
    const float *gradient, float *_Nullable to_x, float *_Nullable to_weight);
  void (*layer_norm_gradient)(
    const float *x, size_t rows, size_t features, const float *weight, float epsilon,
    const float *gradient, float *_Nullable to_x, float *_Nullable to_weight,
    float *_Nullable to_bias);
  void (*swiglu_gradient)(
    const float *gate, const float *up, const float *gradient, size_t count,
    float *_Nullable to_gate, float *_Nullable to_up);
  void (*activation_gradient)(
    karat_activation activation, const float *x, const float *gradient, size_t count, float *to_x);
  /// gradient, to_x [positions, heads, head_size]; cosines, sines [positions, pairs].
  void (*rope_gradient)(
    const karat_rotation *rotation, const float *gradient, size_t positions, const float *cosines,
    const float *sines, float *to_x);

  // Optimizers: one pass, which leaves zeros in the gradient.
  void (*adamw)(
    const karat_adamw *step, float *parameter, float *gradient, float *first_moment,
    float *second_moment, size_t count);
  void (*lion)(
    const karat_lion *step, float *parameter, float *gradient, float *moment, size_t count);
  /// Multiplies and adds in registers for so many rounds; the operations of a round. out [1].
  size_t (*multiply_adds)(size_t rounds, float *out);
  /// In double precision, squares as well.
  double (*sum_of_squares)(const float *x, size_t count);

  /// out = x * scale, rounded to a format as `from_float32` does it, over scale. Beyond the greatest
  /// number, 8-bit formats stay there. F16, BF16, F8_E4M3 and F8_E5M2 only. out may be x.
  void (*round_to_format)(
    const float *x, karat_float_format format, size_t count, float scale, float *out);
  // Gradients of attention, routing, losses and rounding. All but those of logits add to `into`.
  /// Scores [count, keys] of queries [first, first + count) of one head and keys from first_key on,
  /// not yet scaled, become weights; 0 where a query does not see a key.
  void (*attention_weights)(
    const karat_attention *attention, size_t first, size_t count, size_t first_key, size_t keys,
    float *scores);
  /// gradient = factor * weights * (gradient - sum of weights * gradient), row by row.
  void (*softmax_gradient)(
    const float *weights, size_t rows, size_t columns, float factor, float *gradient);
  /// gradient, indices [rows, chosen]; logits, into [rows, experts]; scratch holds 2 experts floats.
  void (*route_gradient)(
    const karat_routing *routing, const float *logits, const int32_t *indices,
    const float *gradient, size_t rows, float *into, float *scratch);
  /// The sum over rows of softmax(logits) . loads [experts]; scratch holds `experts` floats.
  double (*balance_gradient)(
    const float *logits, size_t rows, size_t experts, const float *loads, float factor,
    float *_Nullable into, float *scratch);
  /// The sum of the entropies of softmax(logits), nats; scratch holds 2 experts floats.
  double (*entropy_gradient)(
    const float *logits, size_t rows, size_t experts, float factor, float *_Nullable into,
    float *scratch);
  /// out = factor * e^(x - offset); out may be x.
  void (*scaled_exponential)(
    const float *x, size_t count, double offset, float factor, float *out);
  /// logits [count] = label_factor * softmax(logits) + factor * the divergence's gradient.
  karat_token_loss (*distil)(
    const karat_distillation *distillation, float *logits, const float *teacher, size_t count,
    float label_factor, float factor);
  /// into += factor * (x - target); the sum of (x - target)^2.
  double (*squared_error_gradient)(
    const float *x, const float *target, size_t count, float factor, float *_Nullable into);
  double (*dot_product)(const float *a, const float *b, size_t count);
  void (*add_multiple)(const float *x, float factor, size_t count, float *into);
  void (*add_multiples)(
    const float *a, float a_factor, const float *b, float b_factor, size_t count, float *into);
  /// into += a * b.
  void (*add_products)(const float *a, const float *b, size_t count, float *into);
  /// out = a * (b * factor); out may be a.
  void (*scale_by)(const float *a, const float *b, float factor, size_t count, float *out);
  /// Through code = round(x / scale) within [low, high]: into += gradient where not clipped.
  karat_range_gradient (*quantize_gradient)(
    const float *x, const float *gradient, size_t count, float scale, float low, float high,
    bool clipped_only, float *_Nullable into);
} karat_kernels;

/// The best instruction set of this processor.
karat_instruction_set karat_detected_instruction_set(void);

/// The operations in use: the best of this processor, or what the environment variable KARAT_ISA
/// (scalar, avx2, avx512) allows.
const karat_kernels *karat_active(void);

/// Puts an instruction set in use, at most the detected one; returns the one now in use.
karat_instruction_set karat_set_instruction_set(karat_instruction_set level);

/// The operations of an instruction set, at most the detected one.
const karat_kernels *karat_kernels_for(karat_instruction_set level);

/// Rows and columns of the panels that BF16 factors are packed into.
#define KARAT_BFLOAT16_ROWS 12
#define KARAT_BFLOAT16_COLUMNS 32

/// Products of numbers that are rounded to BF16, ties to even, and summed in float32; subnormal
/// numbers count as 0.
typedef struct {
  /// Packs a factor [count, inner], rounded, into panels [count / width rounded up, inner / 2 rounded
  /// up, width] of pairs, zeros where there is no number. Numbers lie `stride` apart along the extent
  /// that is not contiguous.
  void (*pack)(
    const float *x, size_t stride, bool is_inner_contiguous, size_t count, size_t inner,
    size_t width, uint32_t *out);
  /// c [rows, columns] = or += a . b, packed with widths KARAT_BFLOAT16_ROWS and _COLUMNS; rows of c
  /// lie `stride` apart.
  void (*multiply)(
    const uint32_t *a, size_t rows, const uint32_t *b, size_t columns, size_t inner, float *c,
    size_t stride, bool accumulate);
} karat_bfloat16_kernels;

/// The products of BF16 numbers, or null where the processor or the instruction set in use has none.
const karat_bfloat16_kernels *_Nullable karat_bfloat16(void);

/// Packs `count` (at most 32) rows of codes [count, inputs] into one panel
/// [inputs / 4 rounded up, 32, 4], zeros where there is no code, and sums each row.
void karat_pack_panel(
  const int8_t *codes, size_t count, size_t inputs, int8_t *panel, int32_t *row_sums);

/// The least of 1, 2, 4 and 8 such that the bytes repeat the first so many; 0: none of them.
size_t karat_repeated_bytes(const void *bytes, size_t count);

/// CRC-32 of zip archives of `count` more bytes, given that of those before them; 0 for none before.
uint32_t karat_crc32(uint32_t checksum, const void *bytes, size_t count);

#pragma clang assume_nonnull end

#endif
