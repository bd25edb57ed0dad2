import KaratBytes
public import KaratCheckpoints

/// What a model is written as.
public enum ModelForm: Sendable, Hashable {
  /// A folder as Hugging Face has it, with weights in safetensors, config and tokenizer.
  case folder
  /// One safetensors file: the weights alone.
  case safetensors
  /// One KCF file that holds the weights, compressed without loss, and all that travels along.
  case kcf
  /// One GGUF file that llama.cpp and its like run, its matrices of a type, or of their own where it
  /// is nil.
  case gguf(GGUFWeightType?)

  /// The form of an output, told by its format, or else by how its path ends.
  ///
  /// There is none where the path ends as files of a format do that cannot be written.
  ///
  /// - Parameters:
  ///   - path: where it goes.
  ///   - format: the format that was asked for, or nil where the path is to tell.
  public init?(path: String, format: CheckpointFormat?) {
    let ending = CheckpointFormat.all.first { format in
      format.fileExtensions.contains { path.hasSuffix(".\($0)") }
    }
    guard let name = (format ?? ending)?.name else {
      self = .folder
      return
    }
    switch name {
    case CheckpointFormat.kcf.name: self = .kcf
    case CheckpointFormat.gguf.name: self = .gguf(nil)
    case CheckpointFormat.safetensors.name:
      self = ending?.name == name ? .safetensors : .folder
    default: return nil
    }
  }
}
