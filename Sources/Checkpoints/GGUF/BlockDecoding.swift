package import KaratTensors

/// Decodes the blocks of a quantized tensor to float32; other tensors come back as they are.
///
/// The floats are bit for bit those of the reference decoder: every product and sum is rounded to
/// float32 in its order. Costs about a second for a gigabyte of floats.
///
/// - Returns: float32 of the same shape, or the tensor itself.
package func dequantized(_ tensor: Tensor) -> Tensor {
  guard let decode = blockDecoder(of: tensor.dtype) else { return tensor }
  let block = tensor.dtype.block
  return Tensor(.f32, tensor.shape) { output in
    tensor.withBytes { input in
      guard var source = input.baseAddress, let target = output.baseAddress else { return }
      var values = target.assumingMemoryBound(to: Float.self)
      for _ in 0..<input.count / block.bytes {
        decode(source, values)
        source += block.bytes
        values += block.elements
      }
    }
  }
}

/// Decodes one block into as many floats as it has elements.
private typealias BlockDecoder = (UnsafeRawPointer, UnsafeMutablePointer<Float>) -> Void

private func blockDecoder(of dtype: DType) -> BlockDecoder? {
  switch dtype {
  case .q4_0: decodeQ4_0
  case .q4_1: decodeQ4_1
  case .q5_0: decodeQ5_0
  case .q5_1: decodeQ5_1
  case .q8_0: decodeQ8_0
  case .q4K: decodeQ4K
  case .q5K: decodeQ5K
  case .q6K: decodeQ6K
  default: nil
  }
}

// A block of 32 holds in byte l the low half of element l and, above it, that of element l + 16;
// the fifth bits follow each other in `high`. Offsets are in bytes, scales are float16.

private func decodeQ4_0(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  let scale = half(block, 0)
  let codes = bytes(block, 2)
  for l in 0..<16 {
    values[l] = scale * Float(Int32(codes[l] & 0xf) - 8)
    values[l + 16] = scale * Float(Int32(codes[l] >> 4) - 8)
  }
}

private func decodeQ4_1(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  let scale = half(block, 0)
  let least = half(block, 2)
  let codes = bytes(block, 4)
  for l in 0..<16 {
    values[l] = scale * Float(Int32(codes[l] & 0xf)) + least
    values[l + 16] = scale * Float(Int32(codes[l] >> 4)) + least
  }
}

private func decodeQ5_0(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  let scale = half(block, 0)
  let high = fifthBits(block, 2)
  let codes = bytes(block, 6)
  for l in 0..<16 {
    let shift = UInt32(truncatingIfNeeded: l)
    let low = UInt32(codes[l])
    values[l] = scale * Float(Int32(low & 0xf | (high &>> shift & 1) << 4) - 16)
    values[l + 16] = scale * Float(Int32(low >> 4 | (high &>> (shift &+ 16) & 1) << 4) - 16)
  }
}

private func decodeQ5_1(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  let scale = half(block, 0)
  let least = half(block, 2)
  let high = fifthBits(block, 4)
  let codes = bytes(block, 8)
  for l in 0..<16 {
    let shift = UInt32(truncatingIfNeeded: l)
    let low = UInt32(codes[l])
    values[l] = scale * Float(Int32(low & 0xf | (high &>> shift & 1) << 4)) + least
    values[l + 16] = scale * Float(Int32(low >> 4 | (high &>> (shift &+ 16) & 1) << 4)) + least
  }
}

private func decodeQ8_0(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  let scale = half(block, 0)
  let codes = (block + 2).assumingMemoryBound(to: Int8.self)
  for l in 0..<32 { values[l] = scale * Float(Int32(codes[l])) }
}

// A K block holds eight runs of 32 elements. Runs 2c and 2c + 1 are the low and high halves of the
// same 32 bytes; each has a scale and a least value in 6 bits, which the block's own multiply.

private func decodeQ4K(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  for run in 0..<8 {
    let (scale, least) = scaleAndLeast(of: run, in: block)
    let codes = bytes(block, 16 + run / 2 * 32)
    let shift = UInt8(truncatingIfNeeded: run % 2 * 4)
    let target = values + run * 32
    for l in 0..<32 { target[l] = scale * Float(Int32(codes[l] &>> shift & 0xf)) - least }
  }
}

private func decodeQ5K(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  let high = bytes(block, 16)
  for run in 0..<8 {
    let (scale, least) = scaleAndLeast(of: run, in: block)
    let codes = bytes(block, 48 + run / 2 * 32)
    let shift = UInt8(truncatingIfNeeded: run % 2 * 4)
    let bit = UInt8(truncatingIfNeeded: run)
    let target = values + run * 32
    for l in 0..<32 {
      let code = codes[l] &>> shift & 0xf | (high[l] &>> bit & 1) << 4
      target[l] = scale * Float(Int32(code)) - least
    }
  }
}

// Two halves of 128 elements, each four runs of 32: 64 bytes hold the low four bits, 32 bytes the
// high two bits of all four runs. Sixteen elements share a signed scale.

private func decodeQ6K(_ block: UnsafeRawPointer, _ values: UnsafeMutablePointer<Float>) {
  let scales = (block + 192).assumingMemoryBound(to: Int8.self)
  let scale = half(block, 208)
  for run in 0..<8 {
    let low = bytes(block, run / 4 * 64 + run % 2 * 32)
    let high = bytes(block, 128 + run / 4 * 32)
    let lowShift = UInt8(truncatingIfNeeded: run % 4 / 2 * 4)
    let highShift = UInt8(truncatingIfNeeded: run % 4 * 2)
    for group in 0..<2 {
      let groupScale = scale * Float(Int32(scales[run * 2 + group]))
      for l in group * 16..<group * 16 + 16 {
        let code = low[l] &>> lowShift & 0xf | (high[l] &>> highShift & 3) << 4
        values[run * 32 + l] = groupScale * Float(Int32(code) - 32)
      }
    }
  }
}

@inline(__always)
private func bytes(_ block: UnsafeRawPointer, _ offset: Int) -> UnsafePointer<UInt8> {
  (block + offset).assumingMemoryBound(to: UInt8.self)
}

@inline(__always)
private func half(_ block: UnsafeRawPointer, _ offset: Int) -> Float {
  let bits = UInt16(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  return Float(Float16(bitPattern: bits))
}

@inline(__always)
private func fifthBits(_ block: UnsafeRawPointer, _ offset: Int) -> UInt32 {
  UInt32(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
}

/// Unpacks the 6-bit scale and least value of a run of a K block.
///
/// The first four lie in the low 6 bits of bytes 0…3 and 4…7; of the others, the low 4 bits lie in
/// bytes 8…11 and the high 2 bits above the first ones.
@inline(__always)
private func scaleAndLeast(of run: Int, in block: UnsafeRawPointer) -> (Float, Float) {
  let packed = bytes(block, 4)
  let scale: UInt8
  let least: UInt8
  if run < 4 {
    scale = packed[run] & 0x3f
    least = packed[run + 4] & 0x3f
  } else {
    scale = packed[run + 4] & 0xf | (packed[run - 4] >> 6) << 4
    least = packed[run + 4] >> 4 | (packed[run] >> 6) << 4
  }
  return (half(block, 0) * Float(Int32(scale)), half(block, 2) * Float(Int32(least)))
}
