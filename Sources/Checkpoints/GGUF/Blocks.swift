import CKernels
package import KaratTensors

/// Decodes the blocks of a quantized tensor to float32; other tensors come back as they are.
///
/// The floats are bit for bit those of the reference decoder.
///
/// - Returns: float32 of the same shape, or the tensor itself.
package func dequantized(_ tensor: Tensor) -> Tensor {
  guard let type = tensor.dtype.blockType else { return tensor }
  return Tensor(.f32, tensor.shape) { output in
    tensor.withBytes { input in
      guard let source = input.baseAddress, let target = output.baseAddress else { return }
      karat_active().pointee.decode_blocks(
        source,
        type,
        input.count / tensor.dtype.block.bytes,
        target.assumingMemoryBound(to: Float.self)
      )
    }
  }
}

/// Encodes float32 as blocks, bit for bit as the reference encoder does.
///
/// - Parameters:
///   - tensor: float32; its elements fill whole blocks.
///   - dtype: one of `DType.encodableBlocks`.
/// - Returns: the blocks, or nil where an element is NaN, infinite, or too large for the float16
///   scale of its block.
package func quantized(_ tensor: Tensor, to dtype: DType) -> Tensor? {
  guard let type = dtype.blockType, DType.encodableBlocks.contains(dtype) else {
    preconditionFailure("\(dtype.rawValue) is not encoded")
  }
  var fits = true
  let blocks = Tensor(dtype, tensor.shape) { output in
    tensor.withElements(as: Float.self) { input in
      guard let source = input.baseAddress, let target = output.baseAddress else { return }
      fits = karat_active().pointee.encode_blocks(
        source,
        type,
        output.count / dtype.block.bytes,
        target
      )
    }
  }
  return fits ? blocks : nil
}

extension DType {
  /// The block types that are written as well as read.
  package static let encodableBlocks: Set<DType> = [.q4_0, .q4_1, .q5_0, .q5_1, .q8_0]

  fileprivate var blockType: karat_block_type? {
    switch self {
    case .q4_0: KARAT_Q4_0
    case .q4_1: KARAT_Q4_1
    case .q5_0: KARAT_Q5_0
    case .q5_1: KARAT_Q5_1
    case .q8_0: KARAT_Q8_0
    case .q2K: KARAT_Q2_K
    case .q3K: KARAT_Q3_K
    case .q4K: KARAT_Q4_K
    case .q5K: KARAT_Q5_K
    case .q6K: KARAT_Q6_K
    case .iq1S: KARAT_IQ1_S
    case .iq1M: KARAT_IQ1_M
    case .iq2XXS: KARAT_IQ2_XXS
    case .iq2XS: KARAT_IQ2_XS
    case .iq2S: KARAT_IQ2_S
    case .iq3XXS: KARAT_IQ3_XXS
    case .iq3S: KARAT_IQ3_S
    case .iq4NL: KARAT_IQ4_NL
    case .iq4XS: KARAT_IQ4_XS
    case .tq1_0: KARAT_TQ1_0
    case .tq2_0: KARAT_TQ2_0
    case .mxfp4: KARAT_MXFP4
    case .nvfp4: KARAT_NVFP4
    default: nil
    }
  }
}
