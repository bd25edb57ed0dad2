import Foundation
import Karat
import KaratTestSupport
import Testing

extension Command {
  /// What the command gives when all is well.
  @Suite struct River {
    @Test func inspectDescribesACheckpoint() throws {
      try inWorkplace { place in
        let outcome = try place.karat("inspect", fixture("llama-tiny"), "--json", "--tensors")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        let json = try JSONValue.parse([UInt8](outcome.output.utf8))
        #expect(
          json.object?.members.map(\.key) == [
            "format", "architecture", "parameters", "bytes", "quantization", "root", "tensors",
          ]
        )
        #expect(json["format"]?.string == "safetensors")
        #expect(json["architecture"]?.string == "LlamaForCausalLM")
        #expect(json["parameters"]?.int == 131_520)
        #expect(json["bytes"]?.int == 526_080)
        #expect(json["quantization"]?.isNull == true)
        let tensors = json["tensors"]?.array ?? []
        #expect(tensors.count == 29)
        let down = tensors.first { $0["name"]?.string == "model.layers.1.mlp.down_proj.weight" }
        #expect(
          down == [
            "name": "model.layers.1.mlp.down_proj.weight", "dtype": "F32", "shape": [64, 128],
            "bytes": 32768,
          ]
        )
        let page = try place.karat("inspect", fixture("llama-tiny"))
        #expect(page.output.contains("tensors        29: 29 F32\n"))
        #expect(!page.output.contains("down_proj"))
      }
    }

    @Test func convertRoundsToOtherTypes() throws {
      try inWorkplace { place in
        for (dtype, name) in [("bf16", "bfloat16"), ("f16", "float16"), ("f32", "float32")] {
          #expect(
            try place.karat("convert", fixture("llama-tiny"), dtype, "--dtype", dtype).status == 0
          )
          let config = try JSONValue.parse(try place.read("\(dtype)/config.json"))
          #expect(config["dtype"]?.string == name)
          let original = try SafetensorsReader(fixture("llama-tiny/model.safetensors"))
          let converted = try SafetensorsReader(place.path("\(dtype)/model.safetensors"))
          #expect(converted.manifest.names.sorted() == original.manifest.names.sorted())
          for name in original.manifest.names {
            let floats = try original.tensor(name).elements(as: Float.self)
            let found = try converted.tensor(name)
            switch dtype {
            case "f32": #expect(found.elements(as: Float.self) == floats)
            case "f16": #expect(found.elements(as: Float16.self) == floats.map { Float16($0) })
            default:
              let bits = floats.map { number in
                // Round to nearest, ties to even.
                UInt16((number.bitPattern + 0x7fff + (number.bitPattern >> 16 & 1)) >> 16)
              }
              #expect(found.elements(as: UInt16.self) == bits)
            }
          }
        }
        // A file of its own, with no config.
        #expect(
          try place.karat("convert", "bf16", "half.safetensors", "--dtype", "f32").status == 0
        )
        #expect(
          try SafetensorsReader(place.path("half.safetensors")).manifest["model.norm.weight"]
            == TensorInfo(.f32, [64])
        )
      }
    }

    @Test func aNumberBeyondF16IsRefused() throws {
      try inWorkplace { place in
        var model = try EditedModel("llama-tiny")
        model.set("model.layers.1.mlp.up_proj.weight", at: 77, to: 70_000)
        try model.write(to: place.path("model"))
        let outcome = try place.karat("convert", "model", "out", "--dtype", "f16")
        #expect(outcome.status == 65)
        #expect(
          outcome.message
            == "karat: model, 'model.layers.1.mlp.up_proj.weight': it holds numbers beyond 65504, the largest of F16, which would become infinite. Use bf16 or f32."
        )
        #expect(try place.names() == ["model"])
        #expect(try place.karat("convert", "model", "out", "--dtype", "bf16").status == 0)
      }
    }

    @Test func tokenizeGivesALineForEachLine() throws {
      try inWorkplace { place in
        let lines = ["Alice was beginning", "", "to get very tired — of sitting"]
        let tokenizer = try ModelTokenizer.open(fixture("alice"))
        let expected = lines.map { line in
          tokenizer.encode(line, addSpecialTokens: false).map(String.init).joined(separator: " ")
        }
        let outcome = try place.karat(
          "tokenize",
          fixture("alice"),
          input: lines.joined(separator: "\n")
        )
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.output == expected.map { $0 + "\n" }.joined())
        let text = try place.karat("tokenize", fixture("alice"), "--text", lines[0], "--special")
        let special = tokenizer.encode(lines[0], addSpecialTokens: true)
        #expect(text.output == special.map(String.init).joined(separator: " ") + "\n")
      }
    }

    @Test func tokenizeReadsTextsOfManyLinesAndGivesThemBack() throws {
      try inWorkplace { place in
        let tokenizer = fixture("tokenizers/smollm2.json")
        let texts = ["two\nlines\r\n", "", " é\u{301} 漢 "]
        try place.write(texts.map { $0 + "\0" }.joined(), to: "texts")
        let ids = try place.karat("tokenize", tokenizer, "--file", place.path("texts"), "--null")
        #expect(
          ids.errors == ""
            && ids.output.split(separator: "\n", omittingEmptySubsequences: false).count == 4
        )
        let back = try place.karat("tokenize", tokenizer, "--decode", "--null", input: ids.output)
        #expect(Array(back.output.utf8) == texts.flatMap { Array($0.utf8) + [0] })
        try place.write(texts.joined(), to: "text")
        let whole = try place.karat("tokenize", tokenizer, "--whole", "--file", place.path("text"))
        #expect(
          whole.output == (try place.karat("tokenize", tokenizer, "--text", texts.joined()).output)
        )
        let wrong = try place.karat("tokenize", tokenizer, "--decode", input: "1 x")
        #expect(wrong.status == 64 && wrong.errors.contains("'x' is no token id"))
      }
    }

    @Test func generateAnswersAMessage() throws {
      try inWorkplace { place in
        try place.copy("alice", as: "m")
        let chat = ["generate", "m", "--chat", "--prompt", "Who are you?", "--max-tokens", "8"]
        let without = try place.run(chat)
        #expect(without.status == 65 && without.output == "")
        #expect(without.errors.contains("the model has no chat template"))
        try place.write("{{ '<start_of_turn>' }}", to: "m/chat_template.jinja")
        let unknown = try place.run(chat)
        #expect(unknown.status == 65)
        #expect(unknown.errors.contains("known here: ChatML, Llama 3, DeepSeek, Mistral."))
        try place.write("[INST] {{ message['content'] }} [/INST]", to: "m/chat_template.jinja")
        let answer = try place.run(chat)
        // The marks are no tokens of this vocabulary, so the prompt is the text with them in it.
        let text = try place.run([
          "generate", "m", "--prompt", "[INST] Who are you? [/INST]", "--max-tokens", "8",
        ])
        #expect(answer.status == 0 && answer.errors == "")
        #expect(text.output == "[INST] Who are you? [/INST]" + answer.output)
        let told = try place.run(chat + ["--system", "Speak as Alice."])
        #expect(told.status == 0 && told.output != answer.output)
      }
    }

    @Test func logitsAreThoseOfTheLibrary() throws {
      try inWorkplace { place in
        let outcome = try place.karat(
          "logits",
          fixture("llama-tiny"),
          "--ids",
          "5, 300,7",
          "--output",
          "o.safetensors"
        )
        #expect(outcome.status == 0)
        #expect(outcome.output == "")
        let written = try SafetensorsReader(place.path("o.safetensors"))
        #expect(written.manifest.names.sorted() == ["input_ids", "logits"])
        #expect(try written.tensor("input_ids").elements(as: Int64.self) == [5, 300, 7])
        #expect(written.manifest["input_ids"] == TensorInfo(.i64, [1, 3]))
        let logits = try Executor(try LoadedModel.open(fixture("llama-tiny")).model)
          .logits([5, 300, 7])
        #expect(try written.tensor("logits").isIdentical(to: logits))
        let outside = try place.karat(
          "logits",
          fixture("llama-tiny"),
          "--ids",
          "5,320",
          "--output",
          "p.safetensors"
        )
        #expect(outside.status == 65)
        #expect(
          outside.errors
            == "karat: token 320 is not in the model's vocabulary of 320. Does the tokenizer belong to another model?\n"
        )
      }
    }

    @Test func generateContinuesAText() throws {
      try inWorkplace { place in
        let greedy = try place.karat(
          "generate",
          fixture("alice"),
          "--prompt",
          "Alice was",
          "--max-tokens",
          "12"
        )
        #expect(greedy.status == 0)
        #expect(greedy.output.hasPrefix("Alice was"))
        #expect(greedy.output.hasSuffix("\n"))
        #expect(greedy.output.count > 20)
        let sampled = ["generate", fixture("alice"), "--prompt", "Alice was", "--temperature", "1"]
        let first = try place.run(sampled + ["--seed", "3"])
        #expect(try place.run(sampled + ["--seed", "3", "--threads", "1"]).output == first.output)
        #expect(try place.run(sampled + ["--seed", "4"]).output != first.output)
      }
    }

    @Test func quantizeGivesTheSameBytesForAnyNumberOfThreads() throws {
      try inWorkplace { place in
        try place.text("botchan-calibration.txt", characters: 6000, as: "text.txt")
        try place.write(
          """
          version: 1
          passes:
            - smooth-quant: { alpha: search, windows: 4, length: 64 }
            - calibrate: { observer: mse, windows: 4, length: 64 }
            - quantize-weights
            - quantize-activations
          ignore: [lm_head]
          """,
          to: "recipe.yaml"
        )
        for threads in ["1", "2", "4"] {
          let outcome = try place.karat(
            "quantize",
            fixture("alice"),
            "out" + threads,
            "--recipe",
            "recipe.yaml",
            "--calibration",
            "text.txt",
            "--threads",
            threads
          )
          #expect(outcome.status == 0, "\(outcome.errors)")
          #expect(outcome.message == "Wrote out\(threads).")
        }
        let names = try place.names(in: "out1")
        #expect(
          names == ["LICENSE", "config.json", "karat.json", "model.safetensors", "tokenizer.json"]
        )
        for threads in ["2", "4"] {
          #expect(try place.names(in: "out" + threads) == names)
          for name in names {
            #expect(
              try place.read("out1/" + name) == place.read("out\(threads)/" + name),
              "\(name)"
            )
          }
        }
      }
    }
  }
}
