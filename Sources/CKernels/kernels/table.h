// All operations of one instruction set. The including file has set LANES, ROW_TILE, VECTOR_TILE,
// the compiler's target, KARAT_TABLE and KARAT_LEVEL, and has included its integer product and its
// checksum.

#include "activation_gradients.h"
#include "activations.h"
#include "attention.h"
#include "block_encoding.h"
#include "blocks_codebook.h"
#include "casts.h"
#include "ceilings.h"
#include "emulation.h"
#include "integer_product.h"
#include "linear.h"
#include "logits.h"
#include "norm_gradients.h"
#include "optimizers.h"
#include "planes.h"
#include "rotation_gradient.h"
#include "routing.h"
#include "rows.h"
#include "statistics.h"
#include "tables.h"

#include "attention_gradients.h"
#include "quantization_gradients.h"
#include "routing_gradients.h"
#include "token_losses.h"
#include "vector_losses.h"

const karat_kernels KARAT_TABLE = {
  .instruction_set = KARAT_LEVEL,
  .rms_norm = rms_norm,
  .layer_norm = layer_norm,
  .rope = rope,
  .swiglu = swiglu,
  .add = add,
  .activate = activate,
  .exponential = exponential,
  .route = route,
  .weighted_sum = weighted_sum,
  .linear_scratch = linear_scratch,
  .linear_tile = linear_tile,
  .linear_few_rows = linear_few_rows,
  .pack_keys = pack_keys,
  .pack_values = pack_values,
  .attention_scratch = attention_scratch,
  .attention_tile = attention_tile,
  .attention_row = attention_row,
  .quantize = quantize,
  .quantize_row = quantize_row,
  .dequantize_row = dequantize_row,
  .dequantize = dequantize,
  .integer_linear = integer_linear,
  .integer_accumulate = integer_accumulate,
  .compare_logits = compare_logits,
  .log_sum_exp = log_sum_exp,
  .argmax = argmax,
  .extremes = extremes,
  .absolute_maximum = absolute_maximum,
  .column_absolute_maxima = column_absolute_maxima,
  .histogram = histogram,
  .squared_difference = squared_difference,
  .to_float32 = to_float32,
  .from_float32 = from_float32,
  .from_float64 = from_float64,
  .scale_blocks = scale_blocks,
  .crc32c = crc32c,
  .split_planes = split_planes,
  .merge_planes = merge_planes,
  .exclusive_or = exclusive_or,
  .decode_blocks = decode_blocks,
  .encode_blocks = encode_blocks,
  .rms_norm_gradient = rms_norm_gradient,
  .layer_norm_gradient = layer_norm_gradient,
  .swiglu_gradient = swiglu_gradient,
  .activation_gradient = activation_gradient,
  .rope_gradient = rope_gradient,
  .adamw = adamw,
  .lion = lion,
  .multiply_adds = multiply_adds,
  .sum_of_squares = sum_of_squares,
  .round_to_format = round_to_format,
  .attention_weights = attention_weights,
  .softmax_gradient = softmax_gradient,
  .route_gradient = route_gradient,
  .balance_gradient = balance_gradient,
  .entropy_gradient = entropy_gradient,
  .scaled_exponential = scaled_exponential,
  .distil = distil,
  .squared_error_gradient = squared_error_gradient,
  .dot_product = dot_product,
  .add_multiple = add_multiple,
  .add_multiples = add_multiples,
  .add_products = add_products,
  .scale_by = scale_by,
  .quantize_gradient = quantize_gradient,
};
