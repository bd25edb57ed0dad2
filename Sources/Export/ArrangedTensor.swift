import KaratCheckpoints
import KaratKernels
import KaratTensors

/// A tensor of a model whose rows are put where GGUF wants them.
struct ArrangedTensor {
  /// Hugging Face's name.
  let name: TensorName
  /// Its shape, and its type in the source.
  let info: TensorInfo
  /// How GGUF orders the rows, or nil where they stay.
  let rows: GGUFPairedRows?
  /// The checkpoint in messages.
  let file: String

  /// The tensor as numbers of another type, rounded, or as blocks.
  func encoded(as dtype: DType, of source: any TensorSource) -> DerivedTensor {
    DerivedTensor(
      TensorInfo(dtype, info.shape),
      isDivisible: source.isDivisible(name)
    ) { range throws(CheckpointError) in
      let numbers = try elements(range, of: source, as: info)
      // Runs are pulled side by side, whole tensors one by one.
      let workers = range.count < info.shape.elementCount ? Workers(threads: 1) : .automatic
      guard dtype.isQuantizedBlock else {
        let (cast, overflows) = numbers.cast(to: dtype, on: workers)
        guard overflows == 0 else { throw tooLarge(for: dtype) }
        return cast
      }
      guard let blocks = quantized(numbers.asFloat32(on: workers), to: dtype) else {
        throw tooLarge(for: dtype)
      }
      return blocks
    }
  }

  /// The tensor's codes as blocks of Q8_0, under the scales of their rows.
  ///
  /// - Parameters:
  ///   - scales: float16 bits for each row of the source.
  ///   - source: holds the codes, I8.
  /// - Returns: the tensor in blocks.
  func q8_0(scales: [UInt16], of source: any TensorSource) -> DerivedTensor {
    let width = info.shape[1]
    return DerivedTensor(
      TensorInfo(.q8_0, info.shape),
      isDivisible: source.isDivisible(name)
    ) { range throws(CheckpointError) in
      let codes = try elements(range, of: source, as: TensorInfo(.i8, info.shape))
      let block = DType.q8_0.block
      return Tensor(.q8_0, [range.count]) { output in
        codes.withBytes { codes in
          for index in 0..<range.count / block.elements {
            let start = index * block.elements
            let row = (range.lowerBound + start) / width
            let target = index * block.bytes
            output.storeBytes(
              of: scales[rows?.halved(row) ?? row].littleEndian,
              toByteOffset: target,
              as: UInt16.self
            )
            output[target + 2..<target + block.bytes].copyBytes(
              from: codes[start..<start + block.elements]
            )
          }
        }
      }
    }
  }

  /// A run of elements in GGUF's order, as they are in the source.
  private func elements(
    _ range: Range<Int>,
    of source: any TensorSource,
    as info: TensorInfo
  ) throws(CheckpointError) -> Tensor {
    // What is not divisible is computed once, not once for each row.
    let whole = source.isDivisible(name) ? nil : try source.tensor(name)
    func read(_ range: Range<Int>) throws(CheckpointError) -> Tensor {
      if let whole { return whole.elements(range) }
      return try source.elements(range, of: name)
    }
    guard let rows else { return try read(range) }
    return try rows.elements(range, of: info, from: rows.halved, read: read)
  }

  private func tooLarge(for dtype: DType) -> CheckpointError {
    CheckpointError(
      .unsupported,
      file: file,
      tensor: name,
      dtype.isQuantizedBlock
        ? "it holds NaN, infinities, or numbers too large for the float16 scale of a \(dtype.rawValue)"
          + " block. Use bf16 or f32."
        : "it holds numbers beyond the largest of \(dtype.rawValue), which would become infinite. Use"
          + " bf16 or f32."
    )
  }
}

/// INT8 codes with a scale for each row, as compressed-tensors has them.
struct QuantizedRows {
  private let scale: TensorName
  private let rows: Int
  private let columns: Int

  /// Finds the scales of a weight, or gives nil where it has none of this kind.
  init?(of name: TensorName, in manifest: Manifest) {
    guard name.text.hasSuffix(".weight"), let info = manifest[name], info.dtype == .i8,
      info.shape.rank == 2
    else { return nil }
    scale = TensorName(name.text + "_scale")
    guard let scale = manifest[scale], scale.dtype.isRunnable, scale.shape == [info.shape[0], 1]
    else { return nil }
    rows = info.shape[0]
    columns = info.shape[1]
  }

  /// The scales rounded to float16, or nil where rows do not fill blocks of Q8_0 or a scale is so
  /// small or large that rounding would lose more than half a unit of its 11 bits.
  func blockScales(from source: any TensorSource) throws(CheckpointError) -> [UInt16]? {
    guard columns.isMultiple(of: DType.q8_0.block.elements) else { return nil }
    let scales = try source.tensor(scale).asFloat32(on: Workers(threads: 1))
      .elements(as: Float.self)
    var halves: [UInt16] = []
    for scale in scales {
      let half = Float16(scale)
      guard half.isNormal || scale == 0 else { return nil }
      halves.append(half.bitPattern)
    }
    return halves
  }
}
