from hubtool.main import run

run()
