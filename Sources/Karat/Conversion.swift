public import KaratBytes
import KaratCheckpoints
public import KaratModels
import KaratPasses
public import KaratTensors

/// A checkpoint on its way into another format or number type, one tensor in memory at a time.
public struct Conversion: Sendable {
  private let files: ModelFiles
  private let source: any TensorSource
  private let dtype: DType?

  /// Opens what is to be converted.
  ///
  /// - Parameters:
  ///   - input: a model folder, a safetensors file or a GGUF file.
  ///   - dtype: the type for floating-point tensors, or nil to keep theirs. Weights that are INT8
  ///     codes with scales become numbers of that type.
  /// - Throws: `CheckpointError` where it is no checkpoint, breaks a rule of its format, or holds
  ///   weights whose scales a cast would lose.
  public init(_ input: String, dtype: DType?) throws(CheckpointError) {
    files = try ModelFiles.open(input)
    self.dtype = dtype
    guard let dtype else {
      source = files.source
      return
    }
    // Codes of a type that the user did not name would no longer be what the config says.
    source = try files.source.decompressed(config: files.config, file: input)
      .cast(to: dtype, file: input)
  }

  /// Writes a single file.
  ///
  /// - Throws: `CheckpointError` where it exists, the disk is full or fails, or a tensor cannot be
  ///   had.
  public func writeFile(
    _ output: String,
    replacing: Bool,
    progress: ProgressReporter
  ) throws(CheckpointError) {
    let total = source.manifest.totalBytes
    let counter = ByteCounter(total: total, progress)
    let metadata = source.manifest.metadata.isEmpty ? ["format": "pt"] : source.manifest.metadata
    try SafetensorsWriter(metadata: metadata, replacing: replacing) { counter.add($0) }
      .write(source, to: output)
  }

  /// Writes a model folder.
  ///
  /// - Throws: `CheckpointError` or `TokenizerError` as `ModelWriter` does.
  public func writeFolder(_ output: String, _ writer: ModelWriter) throws {
    try writer.checkTarget(output)
    var config = files.config
    if let dtype {
      config?["quantization_config"] = nil as JSONValue?
      let key = config?["torch_dtype"] != nil ? "torch_dtype" : "dtype"
      config?[key] = .string(dtype.torchName)
    }
    let command = "convert" + (dtype.map { " --dtype \($0.rawValue.lowercased())" } ?? "")
    try writer.write(
      ModelFolder(
        source: source,
        config: config,
        companions: files.companions,
        inputs: files.inputFiles,
        record: ModelRecord(command: command)
      ),
      to: output
    )
  }
}

extension DType {
  /// The name in config.json.
  fileprivate var torchName: String {
    switch self {
    case .f16: "float16"
    case .bf16: "bfloat16"
    default: "float32"
    }
  }
}
