import ArgumentParser
import Karat

struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a checkpoint in another format or number type."
  )

  @Argument(help: "A model folder, or a file: .safetensors, .gguf, .kcf, or .bin of PyTorch.")
  var input: String

  @Argument(help: "What to write: a folder, or a file: .safetensors, .kcf or .gguf.")
  var output: String

  @Option(help: "The type of floating-point tensors; GGUF can have its blocks too, such as q8_0.")
  var dtype: NumberType?

  @Option(help: "With a KCF, a checkpoint of which only the differences are stored.")
  var base: String?

  @OptionGroup var form: FormOptions
  @OptionGroup var options: OutputOptions

  /// The form of the output, its blocks included.
  private var chosenForm: ModelForm {
    get throws {
      let form = try form.form(of: output)
      if case .gguf = form { return .gguf(dtype?.type) }
      return form
    }
  }

  func validate() throws {
    let form = try chosenForm
    try options.checkShards(of: output, as: form)
    if form != .kcf, base != nil {
      throw ValidationError("--base goes with a KCF; '\(output)' is none. Name it *.kcf.")
    }
    if let dtype, dtype.dtype.isQuantizedBlock, form != .gguf(dtype.type) {
      throw ValidationError(
        "--dtype \(dtype.type.rawValue) is a type of GGUF's; '\(output)' is none. Name it *.gguf, or take "
          + "f32, f16 or bf16."
      )
    }
  }

  func run() throws {
    var writer = options.writer
    if let base { writer.base = try ChunkedWriter.Base(at: base, from: output) }
    let notes = try Conversion(input, dtype: dtype?.dtype)
      .write(output, as: try chosenForm, writer)
    for note in notes { Terminal.standard.message(note) }
    Terminal.standard.message("Wrote \(output).")
  }
}

/// A number type by its name.
struct NumberType: ExpressibleByArgument {
  let type: GGUFWeightType
  var dtype: DType { type.dtype }

  static var allValueStrings: [String] { GGUFWeightType.allCases.map(\.rawValue) }

  init?(argument: String) {
    guard let type = GGUFWeightType(rawValue: argument) else { return nil }
    self.type = type
  }
}
