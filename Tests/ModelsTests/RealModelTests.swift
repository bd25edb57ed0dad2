import Foundation
import Karat
import KaratTestSupport
import Testing

/// The folder of real models that `make models` fetches.
private let models = ProcessInfo.processInfo.environment["KARAT_MODELS"]

@Suite(.enabled(if: models != nil, "KARAT_MODELS names no folder of models: see make models"))
struct RealModelConversion {
  @Test func aGGUFBecomesAFolderWithItsTokenizer() throws {
    let file = (models ?? ".") + "/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    try inTemporaryFolder { folder in
      try Conversion(file, dtype: .f32).write(folder + "/m", ModelWriter())
      let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/m").sorted()
      #expect(
        names == [
          "config.json", "karat.json", "model.safetensors", "tokenizer.json",
          "tokenizer_config.json",
        ]
      )
      let (gguf, converted) = (try LoadedModel.open(file), try LoadedModel.open(folder + "/m"))
      #expect(converted.model.graph == gguf.model.graph)
      #expect(converted.maximumLength == gguf.maximumLength)
      #expect(converted.stopTokens == gguf.stopTokens)
      let text = try TextFile(fixture("text/botchan-heldout.txt")).text
      let ids = try gguf.tokenizer().encode(text)
      #expect(try converted.tokenizer().encode(text) == ids)
      let prompt = Array(ids.prefix(40))
      let logits = try Executor(gguf.model).logits(prompt)
      #expect(try Executor(converted.model).logits(prompt).isIdentical(to: logits))
    }
  }
}
