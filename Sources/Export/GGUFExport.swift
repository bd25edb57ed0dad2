package import KaratArchitectures
public import KaratBytes
import KaratCheckpoints
package import KaratModels
public import KaratTensors

/// A model on its way into one GGUF file, as llama.cpp and its like load it.
///
/// Everything is checked when it is made: that the family, its hyper-parameters and every tensor
/// have a place in GGUF. Tensors are pulled, arranged and encoded in runs when the file is written.
public struct GGUFExport: Sendable {
  /// What the file does not say, or says in another way than the model does; a sentence each.
  public let notes: [String]

  private let tensors: OverlaySource
  private let metadata: GGUFMetadata

  /// What becomes of a tokenizer that GGUF cannot say.
  public enum TokenizerRule: Sendable {
    /// The file is written without it, with a note.
    case ifPossible
    /// Nothing is written.
    case required
  }

  /// Checks that a model can be written.
  ///
  /// - Parameters:
  ///   - model: the model, with its config among its companions or apart.
  ///   - type: what matrices are written as; nil for what they are, INT8 codes as Q8_0.
  ///   - tokenizerRule: what becomes of a tokenizer that GGUF cannot say.
  /// - Throws: `CheckpointError`, `ConfigError` or `TokenizerError` that names what has no place.
  package init(
    _ model: ModelContent,
    type: GGUFWeightType? = nil,
    tokenizer tokenizerRule: TokenizerRule = .ifPossible
  ) throws {
    guard let config = model.config else {
      throw CheckpointError(
        .missing,
        file: model.configPath,
        "the config that says how the tensors are put together is not there. GGUF cannot be written"
          + " without."
      )
    }
    try self.init(
      source: model.source,
      config: Config(config, file: model.configPath),
      companions: model.companions,
      path: model.path,
      type: type,
      tokenizer: tokenizerRule
    )
  }

  /// Checks that tensors under Hugging Face's names can be written.
  ///
  /// - Parameters:
  ///   - source: the tensors.
  ///   - config: the config.json that describes them.
  ///   - companions: where the tokenizer is.
  ///   - path: what the model is called in messages; its last part becomes `general.name`.
  ///   - type: what matrices are written as; nil for what they are, INT8 codes as Q8_0.
  ///   - tokenizerRule: what becomes of a tokenizer that GGUF cannot say.
  /// - Throws: `CheckpointError`, `ConfigError` or `TokenizerError` that names what has no place.
  package init(
    source: any TensorSource,
    config: Config,
    companions: Companions,
    path: String,
    type: GGUFWeightType? = nil,
    tokenizer tokenizerRule: TokenizerRule = .ifPossible
  ) throws {
    let model = try GGUFModelDescription(config)
    let plan = try GGUFTensorPlan(source, model, config: config.object, type: type, path: path)
    let vocabulary = try GGUFTokenizer(
      companions,
      config: config.object,
      tokenCount: model.tokenCount,
      rule: tokenizerRule,
      path: path
    )
    tensors = plan.tensors
    notes = plan.notes + vocabulary.notes

    var metadata = GGUFMetadata()
    metadata.append("general.architecture", .string(model.architecture.name))
    metadata.append("general.type", .string("model"))
    if let name = path.split(separator: "/").last {
      metadata.append("general.name", .string(String(name)))
    }
    metadata.append("general.file_type", .uint32(plan.commonType.fileType))
    metadata.append("general.quantization_version", .uint32(2))
    for (key, value) in model.metadata + vocabulary.metadata { metadata.append(key, value) }
    self.metadata = metadata
  }

  /// Writes the file, which appears whole or not at all.
  ///
  /// - Throws: `CheckpointError` where it exists and may not be replaced, the disk is full or fails,
  ///   a tensor cannot be had, or holds numbers that its type cannot.
  public func write(
    to path: String,
    replacing isReplacing: Bool = false,
    progress: ProgressReporter = .silent
  ) throws(CheckpointError) {
    let counter = ByteCounter(total: tensors.manifest.totalBytes, progress)
    try GGUFWriter(metadata: metadata, replacing: isReplacing) { counter.add($0) }
      .write(tensors, to: path)
  }
}
