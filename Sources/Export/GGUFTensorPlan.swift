import KaratBytes
import KaratCheckpoints
import KaratKernels
import KaratModels
import KaratTensors

/// What becomes of each tensor of a model: its name, type and order of rows in GGUF.
struct GGUFTensorPlan {
  /// The tensors as they are written.
  let tensors: OverlaySource
  let notes: [String]
  /// The type of most numbers in matrices.
  let commonType: DType

  /// Checks that every tensor has a place, and that none is missing.
  ///
  /// - Throws: `CheckpointError` naming the tensors at fault.
  init(
    _ source: any TensorSource,
    _ model: GGUFModelDescription,
    config: JSONObject,
    type: GGUFWeightType?,
    path: String
  ) throws(CheckpointError) {
    let isKeepingCodes = type == nil || type == .q8_0
    let floats = try source.decompressed(config: config, file: path)
    var tensors: [TensorName: DerivedTensor] = [:]
    var homeless: [TensorName] = []
    var widened: [TensorName] = []
    var keepsCodes = false
    var sizes: [DType: Int] = [:]
    for name in floats.manifest.names where !model.isSpare(name) {
      guard let target = model.architecture.ggufName(of: name), let info = floats.manifest[name],
        info.dtype.isRunnable
      else {
        homeless.append(name)
        continue
      }
      let rows = model.architecture.pairedRows(of: target, model.parameters)
      try rows?.check(info.shape, of: name, file: path)
      let tensor = ArrangedTensor(name: name, info: info, rows: rows, file: path)
      let codes = isKeepingCodes ? QuantizedRows(of: name, in: source.manifest) : nil
      var scales: [UInt16]?
      if let codes { scales = try codes.blockScales(from: source) }
      if let scales {
        keepsCodes = true
        tensors[target] = tensor.q8_0(scales: scales, of: source)
      } else {
        let (dtype, isWidened) = Self.type(of: info, type, hasCodes: codes != nil)
        if isWidened { widened.append(name) }
        tensors[target] = tensor.encoded(as: dtype, of: floats)
      }
      if info.shape.rank > 1, let dtype = tensors[target]?.info.dtype {
        sizes[dtype, default: 0] += info.shape.elementCount
      }
    }
    guard homeless.isEmpty else {
      throw CheckpointError(
        .unsupported,
        file: path,
        "GGUF has no place for these tensors of \(model.architecture.className): "
          + Self.list(homeless) + "."
      )
    }
    let missing = model.requiredNames.filter { tensors[$0] == nil }
    guard missing.isEmpty else {
      throw CheckpointError(
        .missing,
        file: path,
        "these tensors, by GGUF's names, are not there: " + Self.list(missing) + "."
      )
    }
    if let divisors = model.ropeDivisors {
      tensors[GGUFLlama3Rotation.tensorName] = DerivedTensor(divisors)
    }
    self.tensors = MemorySource([:]).overlaid(with: tensors)
    commonType =
      sizes.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key ?? .f32
    notes = Self.notes(widened: widened, keepsCodes: keepsCodes, in: source.manifest)
  }

  /// The type of a tensor, and whether it is another than was asked for.
  ///
  /// Vectors are float32; F16 is what rows, or codes whose scales, do not fit blocks become.
  private static func type(
    of info: TensorInfo,
    _ type: GGUFWeightType?,
    hasCodes: Bool
  ) -> (dtype: DType, isWidened: Bool) {
    guard info.shape.rank > 1 else { return (.f32, false) }
    let width = info.shape.dimensions.last ?? 1
    if let type, width.isMultiple(of: type.dtype.block.elements) { return (type.dtype, false) }
    guard type == nil, !hasCodes else { return (.f16, true) }
    return ([.f32, .f16, .bf16].contains(info.dtype) ? info.dtype : .bf16, false)
  }

  private static func notes(
    widened: [TensorName],
    keepsCodes: Bool,
    in manifest: Manifest
  ) -> [String] {
    var notes: [String] = []
    if !widened.isEmpty {
      notes.append(
        "Written as F16, since their rows or scales do not fit blocks: \(list(widened))."
      )
    }
    if keepsCodes {
      notes.append(
        "INT8 codes are kept in Q8_0, the scale of a row rounded to float16 in each of its blocks."
      )
    }
    if manifest.names.contains(where: { $0.text.hasSuffix(".input_scale") }) {
      notes.append(
        "GGUF has no place for the ranges of quantized activations; what reads it computes its own."
      )
    }
    return notes
  }

  /// The first names of a list, and how many more there are.
  private static func list(_ names: [TensorName]) -> String {
    names.prefix(5).map(\.quoted).joined(separator: ", ")
      + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}

extension GGUFModelDescription {
  /// Whether a tensor says nothing that GGUF does not say otherwise.
  func isSpare(_ name: TensorName) -> Bool {
    name.text.hasSuffix("rotary_emb.inv_freq") || isHeadTied && name == "lm_head.weight"
  }

  /// What must be there, by GGUF's names.
  var requiredNames: [TensorName] {
    architecture.requiredNames(blocks: blockCount) + (isHeadTied ? [] : ["output.weight"])
  }
}
