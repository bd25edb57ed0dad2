import KaratArchitectures
package import KaratBytes
import KaratKernels
package import KaratTensors

extension TensorSource {
  /// The weights that are stored as codes with scales beside them, as float32 under the same names,
  /// without the scales and zero points.
  ///
  /// Two layouts are known: one scale for each row, or for the whole weight (`weight_scale`, as
  /// compressed-tensors has it), of INT8 or 8-bit floats; and one for each block of an 8-bit float
  /// weight (`weight_scale_inv`, as DeepSeek has it; the name says inverse, but it multiplies). A
  /// weight is decoded run by run when it is pulled, wherever its scales lie.
  ///
  /// - Parameters:
  ///   - config: the model's config.json, which gives the extents of a block.
  ///   - file: the checkpoint's name in messages.
  ///   - keepsIntegers: whether INT8 codes stay what they are, scales and all.
  /// - Returns: a source of numbers.
  /// - Throws: `CheckpointError` where scales are missing or do not fit their weight.
  package func decompressed(
    config: JSONObject?,
    file: String,
    keepsIntegers: Bool = false
  ) throws(CheckpointError) -> any TensorSource {
    let scaling = ScaleLayout(config: config, file: file)
    var changes: [TensorName: DerivedTensor] = [:]
    var removed: Set<TensorName> = []
    for name in manifest.names where !(keepsIntegers && manifest[name]?.dtype == .i8) {
      guard let scale = try scaling.scale(of: name, in: manifest) else { continue }
      removed.insert(scale.name)
      if let module = name.module(of: "weight") {
        removed.formUnion(["input_scale", "input_zero_point"].map { module / $0 })
      }
      let matrix = scale.matrix
      changes[name] = DerivedTensor(
        TensorInfo(.f32, [matrix.rows, matrix.columns]),
        isDivisible: isDivisible(name)
      ) { range throws(CheckpointError) in
        let isRun = range.count < matrix.rows * matrix.columns
        let codes = try isRun ? self.elements(range, of: name) : self.tensor(name)
        let scales = BlockScales(
          try self.tensor(scale.name).asScales(),
          block: scale.block,
          matrix: matrix
        )
        return scales.dequantize(
          codes.reshaped(to: [range.count]),
          from: range.lowerBound,
          on: isRun ? Workers(threads: 1) : .automatic
        )
      }
    }
    return overlaid(with: changes, removing: removed)
  }
}

extension JSONObject {
  /// Whether a config.json says that weights are 8-bit floats with a scale for each block, as
  /// DeepSeek's are.
  ///
  /// - Throws: `ConfigError` where it asks for activations of a fixed range.
  func isBlockScaled(file: String) throws(ConfigError) -> Bool {
    guard let quantization = self["quantization_config"]?.object,
      quantization["quant_method"]?.string == "fp8"
    else { return false }
    let activations = quantization["activation_scheme"] ?? "dynamic"
    guard activations == "dynamic" else {
      throw ConfigError(
        file: file,
        "'quantization_config': 'activation_scheme' is not 'dynamic', and 8-bit activations of a "
          + "fixed range are not supported.",
        isUnsupported: true
      )
    }
    return true
  }
}

/// Where the scales of a checkpoint's codes are, and what each of them covers.
private struct ScaleLayout {
  struct Scale {
    let name: TensorName
    let block: (rows: Int, columns: Int)
    let matrix: (rows: Int, columns: Int)
  }
  private let file: String
  /// The extents of a block as config.json says; DeepSeek's own where it does not.
  private let block: (rows: Int, columns: Int)
  /// Whether config.json says that weights are block-scaled, so that a missing scale is a fault.
  private let isBlockScaled: Bool

  init(config: JSONObject?, file: String) {
    let quantization = config?["quantization_config"]
    let extents = quantization?["weight_block_size"]?.array?.compactMap(\.int) ?? []
    isBlockScaled = extents.count == 2 && extents.allSatisfy { $0 > 0 }
    block = isBlockScaled ? (extents[0], extents[1]) : (128, 128)
    self.file = file
  }

  /// The scale of a weight, or nil where the tensor is none or needs none.
  func scale(of name: TensorName, in manifest: Manifest) throws(CheckpointError) -> Scale? {
    guard let info = manifest[name], info.dtype == .i8 || info.dtype.isFloat8 else { return nil }
    let inverse = TensorName(name.text + "_scale_inv")
    if info.dtype.isFloat8, let scale = manifest[inverse] {
      return try checked(inverse, scale, of: name, info, block: block)
    }
    if let module = name.module(of: "weight"), let scale = manifest[module / "weight_scale"],
      info.shape.rank == 2
    {
      let isWhole = scale.shape.elementCount == 1 && info.shape[0] != 1
      return try checked(
        module / "weight_scale",
        scale,
        of: name,
        info,
        block: (isWhole ? max(info.shape[0], 1) : 1, max(info.shape[1], 1))
      )
    }
    guard !(isBlockScaled && info.dtype == .f8E4M3) else {
      throw CheckpointError(
        .missing,
        file: file,
        tensor: name,
        "its numbers are \(info.dtype.rawValue), and \(inverse.quoted), which each block of them is"
          + " multiplied with, is not there. Fetch all files of the checkpoint again."
      )
    }
    return nil
  }

  private func checked(
    _ name: TensorName,
    _ scale: TensorInfo,
    of weight: TensorName,
    _ info: TensorInfo,
    block: (rows: Int, columns: Int)
  ) throws(CheckpointError) -> Scale {
    func malformed(_ tensor: TensorName, _ message: String) -> CheckpointError {
      CheckpointError(.malformed, file: file, tensor: tensor, message)
    }
    guard info.shape.rank == 2 else {
      throw malformed(weight, "its shape is \(info.shape); a weight with scales has two extents.")
    }
    guard scale.dtype.isRunnable || scale.dtype == .f8E8M0 else {
      throw malformed(name, "it is \(scale.dtype.rawValue); floating-point scales were needed.")
    }
    let matrix = (rows: info.shape[0], columns: info.shape[1])
    let grid = BlockScales.grid(of: matrix, block: block)
    let isSingle = scale.shape.elementCount == 1 && grid == (1, 1)
    guard isSingle || scale.shape.dimensions == [grid.rows, grid.columns] else {
      throw malformed(
        name,
        "its shape is \(scale.shape); \(weight.quoted) of shape \(info.shape) has"
          + " [\(grid.rows), \(grid.columns)] blocks of \(block.rows) × \(block.columns). Check"
          + " weight_block_size in config.json."
      )
    }
    return Scale(name: name, block: block, matrix: matrix)
  }
}

extension Tensor {
  /// Scales as floats; those of type F8_E8M0 are powers of two.
  fileprivate func asScales() -> [Float] {
    guard dtype == .f8E8M0 else {
      return asFloat32(on: Workers(threads: 1)).elements(as: Float.self)
    }
    return elements(as: UInt8.self).map { code in
      switch code {
      case 0xff: .nan
      case 0: 0x1p-127
      default: Float(bitPattern: UInt32(code) << 23)
      }
    }
  }
}

extension DType {
  fileprivate var isFloat8: Bool {
    [.f8E4M3, .f8E5M2, .f8E4M3FNUZ, .f8E5M2FNUZ].contains(self)
  }
}
