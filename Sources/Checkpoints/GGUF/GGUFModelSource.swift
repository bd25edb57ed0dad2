public import KaratBytes
public import KaratTensors

/// The model in a GGUF file under the names and in the arrangement of Hugging Face.
///
/// Quantized blocks are decoded to float32 when a tensor is pulled; float types stay as they are.
/// The rows of llama's queries and keys, which GGUF holds pair by pair, go back to their halves.
public struct GGUFModelSource: TensorSource {
  /// Hugging Face's names with types and shapes, in the order of the file.
  public let manifest: Manifest
  /// The hyper-parameters as the `config.json` of a model folder.
  public let config: JSONValue
  /// The typed values of the file, among them the tokenizer's under `tokenizer.ggml.`.
  public var metadata: GGUFMetadata { file.metadata }

  /// The files that are read: one, or the parts of a split model in order.
  public var files: [String] { file.files }

  private struct Origin {
    let name: TensorName
    let pairedRows: GGUFPairedRows?
  }
  private let file: GGUFReader
  private let origins: [TensorName: Origin]

  /// Presents a GGUF file as a model.
  ///
  /// - Throws: `CheckpointError` where the architecture is not read, a hyper-parameter is missing,
  ///   or a tensor has no place in the architecture.
  public init(_ file: GGUFReader) throws(CheckpointError) {
    let architecture = try Self.architecture(of: file)
    let parameters = try GGUFHyperparameters(of: file, architecture.name)
    var manifest = Manifest()
    var origins: [TensorName: Origin] = [:]
    for name in file.manifest.names where name != GGUFLlama3Rotation.tensorName {
      guard let info = file.manifest[name] else { continue }
      guard let target = architecture.huggingFaceName(of: name) else {
        throw CheckpointError(
          .unsupported,
          file: file.path,
          tensor: name,
          "the architecture '\(architecture.name)' has no tensor of this name here."
        )
      }
      let pairedRows = architecture.pairedRows(of: name, parameters)
      try pairedRows?.check(info.shape, of: name, file: file.path)
      let dtype = info.dtype.isQuantizedBlock ? .f32 : info.dtype
      manifest.set(target, TensorInfo(dtype, info.shape))
      origins[target] = Origin(name: name, pairedRows: pairedRows)
    }
    config = try Self.config(of: file, architecture, parameters)
    self.manifest = manifest
    self.origins = origins
    self.file = file
  }

  /// Reads a tensor, decodes it and arranges its rows.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let origin = origins[name], let info = manifest[name] else {
      throw .missing(name, in: file.path)
    }
    guard origin.pairedRows == nil else {
      return try elements(0..<info.shape.elementCount, of: name).reshaped(to: info.shape)
    }
    return dequantized(try file.tensor(origin.name))
  }

  /// Every tensor is.
  public func isDivisible(_ name: TensorName) -> Bool { true }

  /// Reads a run of a tensor's elements, decoded, from the rows where they lie.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    guard let origin = origins[name], let info = manifest[name] else {
      throw .missing(name, in: file.path)
    }
    guard let rows = origin.pairedRows else {
      return try file.decodedElements(range, of: origin.name)
    }
    return try rows.elements(range, of: info, from: rows.paired) { range throws(CheckpointError) in
      try file.decodedElements(range, of: origin.name)
    }
  }

  private static func architecture(of file: GGUFReader) throws(CheckpointError) -> GGUFArchitecture
  {
    guard let name = file.metadata["general.architecture"]?.string else {
      throw CheckpointError(
        .missing,
        file: file.path,
        "there is no 'general.architecture', which names the model."
      )
    }
    guard let architecture = GGUFArchitecture.all.first(where: { $0.name == name }) else {
      let known = GGUFArchitecture.all.map(\.name).joined(separator: ", ")
      throw CheckpointError(
        .unsupported,
        file: file.path,
        "its architecture is \(TensorName(name).quoted); these are read: \(known)."
      )
    }
    return architecture
  }
}
