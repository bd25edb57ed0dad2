// Sizes, choices and formats that kernels are told.

#ifndef KARAT_CKERNEL_TYPES_H
#define KARAT_CKERNEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Instruction sets in ascending order of preference.
typedef enum karat_instruction_set {
  /// Plain C: SSE2 on x86-64, NEON on ARM.
  KARAT_BASELINE = 0,
  /// AVX2, FMA.
  KARAT_AVX2 = 1,
  /// AVX-512 F, BW, DQ, VL and VNNI.
  KARAT_AVX512 = 2,
} karat_instruction_set;

/// How numbers of 16 and 8 bits are coded.
typedef enum karat_float_format {
  KARAT_F16 = 0,
  KARAT_BF16 = 1,
  KARAT_F8_E4M3 = 2,
  KARAT_F8_E5M2 = 3,
  KARAT_F8_E4M3FNUZ = 4,
  KARAT_F8_E5M2FNUZ = 5,
} karat_float_format;

/// GGUF's types of quantized blocks.
typedef enum karat_block_type {
  KARAT_Q4_0,
  KARAT_Q4_1,
  KARAT_Q5_0,
  KARAT_Q5_1,
  KARAT_Q8_0,
  KARAT_Q2_K,
  KARAT_Q3_K,
  KARAT_Q4_K,
  KARAT_Q5_K,
  KARAT_Q6_K,
  KARAT_IQ1_S,
  KARAT_IQ1_M,
  KARAT_IQ2_XXS,
  KARAT_IQ2_XS,
  KARAT_IQ2_S,
  KARAT_IQ3_XXS,
  KARAT_IQ3_S,
  KARAT_IQ4_NL,
  KARAT_IQ4_XS,
  KARAT_TQ1_0,
  KARAT_TQ2_0,
  KARAT_MXFP4,
  KARAT_NVFP4,
} karat_block_type;

/// Outputs of one panel of packed INT8 weights; see `karat_pack_panel`.
#define KARAT_PANEL_OUTPUTS 32

/// Most panels of one call of an integer product.
#define KARAT_PANELS_AT_A_TIME 64

/// Consecutive inputs of one output that lie together in a panel.
#define KARAT_PANEL_INPUTS 4

/// Most inputs and outputs that `linear_tile` packs at a time.
#define KARAT_INPUT_BLOCK 640
#define KARAT_OUTPUT_BLOCK 96

/// Keys of one packed block of attention; see `pack_keys`.
#define KARAT_KEY_BLOCK 64

/// What the size of a packed value is a multiple of; see `pack_values`.
#define KARAT_VALUE_STEP 16

/// A product of unsigned activations and packed signed weights, and how it becomes float32.
typedef struct karat_integer_product {
  /// Activation codes [rows, inputs].
  const uint8_t *x;
  size_t inputs;
  /// One panel for every 32 outputs, the last one filled up with zeros.
  const int8_t *panels;
  /// Sum of each output's weights [outputs].
  const int32_t *row_sums;
  /// Step of each output's weights [outputs].
  const float *weight_scales;
  /// [outputs] or null.
  const float *_Nullable bias;
  /// Step of the activations: one for all [1], or one for each row [rows].
  const float *scales;
  bool scale_per_row;
  /// The code that stands for zero.
  int32_t zero_point;
  /// Elements from one row of the result to the next.
  size_t outputs;
} karat_integer_product;

/// One (batch, key/value head) of attention: what all its tiles of queries share.
typedef struct karat_attention {
  size_t queries, keys, heads, key_value_heads, head_size, value_size;
  float scale;
  bool causal;
  /// A query at position p sees keys above p - window; 0: all.
  size_t window;
  /// 0 for each key that no query sees [keys], or null.
  const int32_t *_Nullable mask;
} karat_attention;

/// How a router of experts chooses.
typedef struct karat_routing {
  /// Experts, a multiple of `groups`, and how many of them a token reaches.
  size_t experts, chosen;
  /// Groups of experts, and how many of them a token may choose from: at least `chosen` experts.
  size_t groups, kept_groups;
  /// Scores are sigmoids of the logits; else their softmax.
  bool sigmoid;
  /// A group ranks by the sum of its two greatest scores; else by the greatest.
  bool sums_two;
  /// Weights are divided by their sum.
  bool normalizes;
  /// What weights are multiplied by in the end.
  float scale;
} karat_routing;

/// What an activation does to a number.
typedef enum karat_activation {
  /// x times the probability that a normal number is below it.
  KARAT_GELU,
  /// The same by a tangent: x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
  KARAT_GELU_TANH,
  KARAT_RELU,
  /// x / (1 + e^-x).
  KARAT_SILU,
  KARAT_TANH,
} karat_activation;

/// What one pass over two rows of logits finds.
typedef struct karat_logit_comparison {
  double reference_log_sum_exp, candidate_log_sum_exp;
  /// Kullback-Leibler divergence of the candidate from the reference, nats.
  double divergence;
  size_t reference_argmax, candidate_argmax;
} karat_logit_comparison;

/// Extremes of a run of floats, NaN left out.
typedef struct karat_extremes {
  float minimum, maximum;
  bool finite;
} karat_extremes;

/// The elements of a head that rotary positions turn: `pairs` pairs from element `first` on, of
/// neighbours, or of the first half and the second; the others stay as they are.
typedef struct karat_rotation {
  size_t heads, head_size, first, pairs;
  bool neighbours;
} karat_rotation;

/// One step of AdamW, as the factors that its formulas come down to.
typedef struct karat_adamw {
  /// What a gradient is multiplied by first, and what a parameter decays by: 1 - rate * decay.
  float gradient_scale, keep;
  /// Factors of the moments, and of the gradient in them.
  float beta1, fresh1, beta2, fresh2;
  /// rate / correction1, 1 / sqrt(correction2), and what is added to the root.
  float step, root_scale, epsilon;
} karat_adamw;

/// One step of Lion.
typedef struct karat_lion {
  /// What a gradient is multiplied by first, and what a parameter decays by: 1 - rate * decay.
  float gradient_scale, keep;
  /// Factors of the moment in the direction and in the next moment, and of the gradient in them.
  float beta1, fresh1, beta2, fresh2;
  float rate;
} karat_lion;
/// How a student's distribution q is compared with its teacher's p.
typedef enum karat_divergence {
  /// Kullback-Leibler divergence of q from p: the sum of p log(p / q).
  KARAT_FORWARD,
  /// The sum of q log(q / p).
  KARAT_REVERSE,
  /// share KL(p | m) + (1 - share) KL(q | m) with m = share p + (1 - share) q.
  KARAT_JENSEN_SHANNON,
} karat_divergence;

/// How a student learns from a teacher's logits.
typedef struct karat_distillation {
  karat_divergence divergence;
  /// What the logits of both are divided by.
  float temperature;
  /// Share of the teacher in the mixture of Jensen and Shannon, between 0 and 1.
  float teacher_share;
} karat_distillation;

/// What a row of logits loses.
typedef struct karat_token_loss {
  /// log of the sum of e^logit, and the divergence from the teacher, nats.
  double log_sum_exp, divergence;
} karat_token_loss;

/// The gradients of a quantizer's scale and zero point.
typedef struct karat_range_gradient {
  double scale, zero_point;
} karat_range_gradient;

#pragma clang assume_nonnull end

#endif
